"""Scheduler: step budgets, the order within an owner's share, fairness between owners, and slot rotation."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.engine.loading.loaded_models import StepBudget
from generator.engine.networks.fake import fake_vocabulary
from generator.engine.networks.runner import DEFAULT_SLOTS, SEQUENCE_SLOTS
from generator.engine.scheduling.scheduler import ROTATION_TOKENS, ScheduledChunk, Scheduler, share
from generator.engine.scheduling.sequence import Phase, Sequence, SequenceParams
from generator.engine.tokens.vocabulary import Tokens
from generator.engine.tokens.window import Window
from generator.wire.sampling_params import SamplingParams

VOCABULARY = fake_vocabulary()
ENDLESS = 10**9


def a_sequence(
    name: str, owner: str, length: int = 1, *, budget: int = ENDLESS, edited: bool = False, size: int = 10**6
) -> Sequence:
    window = Window(size, [1], Tokens([65] * (length - 1), [1] * (length - 1)), 0, VOCABULARY.starts)
    params = SequenceParams(1, SamplingParams(seed=1), 0, 0, 0)
    return Sequence(name, owner, params, window, VOCABULARY, budget, is_edited=edited)


def serve(chunks: list[ScheduledChunk]) -> None:
    """Compute the chunks of a step and write a token for each sequence that wants logits, as the loop does."""
    for chunk in chunks:
        chunk.sequence.advance(chunk.count)
        if chunk.wants_logits:
            chunk.sequence.append(65, -1.0)


def run(scheduler: Scheduler, sequences: list[Sequence], steps: int, budget: int) -> Counter[str]:
    written: Counter[str] = Counter()
    for _ in range(steps):
        chunks = scheduler.schedule(sequences, budget)
        serve(chunks)
        written.update(chunk.sequence.id for chunk in chunks if chunk.wants_logits)
    return written


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(0, 200))
def test_shares_are_max_min_fair(demands: list[int], amount: int) -> None:
    shares = share(demands, amount)
    assert sum(shares) == min(amount, sum(demands))
    assert all(0 <= given_ <= demand for given_, demand in zip(shares, demands, strict=True))
    unmet = [given_ for given_, demand in zip(shares, demands, strict=True) if given_ < demand]
    # A demand that is not met gets at least as much as any other, apart from the indivisible rest.
    assert not unmet or min(unmet) >= max(shares) - 1


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 300), st.booleans()), min_size=1, max_size=20),
    st.integers(16, 256),
    st.integers(1, 24),
    st.integers(0, 4),
)
def test_a_step_is_within_its_budget_and_no_slot_is_shared(
    described: list[tuple[str, int, bool]], budget: int, num_slots: int, growth: int
) -> None:
    most = num_slots + growth
    scheduler = Scheduler(num_slots, lambda: scheduler.num_slots < most)
    sequences = [a_sequence(str(n), owner, length, edited=e) for n, (owner, length, e) in enumerate(described)]
    for _ in range(30):
        chunks = scheduler.schedule(sequences, budget)
        assert chunks
        assert 0 < sum(chunk.count for chunk in chunks) <= budget
        slots = [chunk.sequence.slot for chunk in chunks]
        assert None not in slots
        assert len(set(slots)) == len(slots) <= scheduler.num_slots <= most
        serve(chunks)


def test_every_decoding_sequence_gets_one_token_beside_a_prefill() -> None:
    scheduler = Scheduler(16)
    writers = [a_sequence(f"w{n}", f"o{n}") for n in range(8)]
    prefill = a_sequence("prefill", "p", 500)
    run(scheduler, writers, 2, 64)
    chunks = scheduler.schedule([*writers, prefill], 64)
    counts = {chunk.sequence.id: chunk.count for chunk in chunks}
    assert counts == {**{w.id: 1 for w in writers}, "prefill": 56}


def test_within_an_owners_share_edits_come_first_and_prefills_last() -> None:
    scheduler = Scheduler(8)
    writer, edit, fresh = a_sequence("w", "o"), a_sequence("e", "o", 40, edited=True), a_sequence("f", "o", 400)
    chunks = scheduler.schedule([fresh, writer, edit], 64)
    assert [(chunk.sequence.id, chunk.count) for chunk in chunks] == [("e", 40), ("w", 1), ("f", 23)]


@pytest.mark.parametrize("drafts", [(1, 15), (2, 10), (1, 1, 12), (5, 5)])
def test_owners_get_equal_shares_regardless_of_their_number_of_drafts(drafts: tuple[int, ...]) -> None:
    scheduler = Scheduler(16)
    sequences = [
        a_sequence(f"{owner}{n}", owner) for owner, count in zip("abc", drafts, strict=False) for n in range(count)
    ]
    written = run(scheduler, sequences, 600, budget=64)
    by_owner = Counter[str]()
    for name, tokens in written.items():
        by_owner[name[0]] += tokens
    assert max(by_owner.values()) <= 1.4 * min(by_owner.values())
    for owner in by_owner:
        mine = [tokens for name, tokens in written.items() if name[0] == owner]
        assert max(mine) - min(mine) <= 1
    # The owner with the fewest drafts writes in every step.
    assert written["a0"] == 600


def test_a_single_owner_writes_in_all_drafts_at_once() -> None:
    scheduler = Scheduler(16)
    written = run(scheduler, [a_sequence(str(n), "o") for n in range(16)], 50, budget=64)
    assert set(written.values()) == {50}


def test_more_sequences_than_slots_share_them_by_rotation() -> None:
    scheduler = Scheduler(2)
    sequences = [a_sequence(str(n), "o", 10) for n in range(6)]
    written = run(scheduler, sequences, 12 * ROTATION_TOKENS, budget=64)
    assert len(written) == 6
    assert max(written.values()) - min(written.values()) <= 2 * ROTATION_TOKENS


def test_an_owner_without_a_slot_gets_one_at_once_from_the_owner_with_the_most() -> None:
    scheduler = Scheduler(4)
    crowd = [a_sequence(f"c{n}", "crowd") for n in range(8)]
    run(scheduler, crowd, 3, 64)
    newcomer = a_sequence("n", "new")
    chunks = scheduler.schedule([*crowd, newcomer], 64)
    assert "n" in {chunk.sequence.id for chunk in chunks}
    held = newcomer.slot
    run(scheduler, [*crowd, newcomer], 3 * ROTATION_TOKENS, 64)
    assert newcomer.slot == held


def test_an_idle_sequence_gives_up_its_slot_and_is_computed_again_only_with_budget() -> None:
    scheduler = Scheduler(1)
    idle, busy = a_sequence("idle", "o", 20, budget=0), a_sequence("busy", "o", 20)
    run(scheduler, [idle], 2, 64)
    assert (idle.num_computed, idle.phase) == (19, Phase.PAUSED)
    run(scheduler, [idle, busy], 5, 64)
    assert busy.slot is not None
    assert (idle.slot, idle.num_computed, idle.phase) == (None, 0, Phase.PAUSED)
    idle.set_budget(5)
    assert idle.num_pending == 20


def test_a_paced_sequence_lends_its_slot_only_if_it_is_offered() -> None:
    scheduler = Scheduler(2)
    paced, other = a_sequence("paced", "a", 20), a_sequence("other", "b", 20)
    run(scheduler, [paced, other], 5, 64)
    newcomer = a_sequence("new", "c", 20)
    assert not scheduler.acquire(newcomer)
    assert not scheduler.acquire(newcomer, [a_sequence("without a slot", "d")])
    slot = paced.slot
    assert scheduler.acquire(newcomer, [paced, other])
    assert (newcomer.slot, newcomer.num_computed) == (slot, 0)
    assert (paced.slot, paced.num_computed) == (None, 0)
    assert other.slot is not None


def test_an_idle_sequence_gives_up_its_slot_before_a_paced_one_lends_it() -> None:
    scheduler = Scheduler(2)
    paced, idle = a_sequence("paced", "a", 20), a_sequence("idle", "b", 20, budget=1)
    run(scheduler, [paced, idle], 5, 64)
    assert idle.phase is Phase.PAUSED
    newcomer = a_sequence("new", "c", 20)
    scheduler.schedule([newcomer], 64, [paced])
    assert (idle.slot, newcomer.slot is None, paced.slot is None) == (None, False, False)


def test_every_sequence_gets_a_slot_while_the_scheduler_may_grow() -> None:
    scheduler = Scheduler(DEFAULT_SLOTS, lambda: scheduler.num_slots < 60)
    idle = a_sequence("idle", "o", 40, budget=1)
    crowd = [a_sequence(f"{number}", f"o{number % 3}", 40) for number in range(40)]
    run(scheduler, [idle], 5, 512)
    written = run(scheduler, [idle, *crowd], 5 * ROTATION_TOKENS, 512)
    assert {sequence.slot for sequence in crowd}.isdisjoint({None, idle.slot})
    assert idle.num_computed == 40
    # The scheduler still reserves slots for lookahead windows.
    assert scheduler.num_slots == -(-41 * DEFAULT_SLOTS // SEQUENCE_SLOTS)
    assert min(written[sequence.id] for sequence in crowd) > 4 * ROTATION_TOKENS


def test_a_lookahead_window_takes_no_slot_of_an_idle_sequence_if_slots_are_reserved_for_it() -> None:
    """The user of an idle sequence is probably typing, so its computed tokens are needed again in a moment."""
    scheduler = Scheduler(DEFAULT_SLOTS)
    held = a_sequence("held", "a", 40, budget=1)
    crowd = [a_sequence(str(number), "a", 40, size=64) for number in range(SEQUENCE_SLOTS - 1)]
    run(scheduler, [held, *crowd], 200, 256)
    assert held.slot is not None
    assert held.num_computed == 40


def test_steps_grow_while_quick_and_shrink_when_slow() -> None:
    budget = StepBudget(target=0.06, tokens=64, low=16, high=1024)
    for _ in range(50):
        budget.learn(budget.tokens, budget.tokens * 0.0001)
    assert 300 < budget.tokens <= 1024
    for _ in range(50):
        budget.learn(budget.tokens, budget.tokens * 0.001)
    assert 30 <= budget.tokens <= 60
