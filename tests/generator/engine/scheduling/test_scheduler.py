"""Who computes what: budgets, order within an owner's share, fairness between owners, turns at the slots."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.engine.loading.loaded_models import StepBudget
from generator.engine.networks.fake import fake_vocabulary
from generator.engine.networks.runner import DEFAULT_SLOTS, SEQUENCE_SLOTS
from generator.engine.scheduling.scheduler import TURN_TOKENS, ScheduledChunk, Scheduler, share
from generator.engine.scheduling.sequence import Sequence, SequenceParams
from generator.engine.tokens.vocabulary import Tokens
from generator.engine.tokens.window import Window
from generator.wire.sampling_params import SamplingParams

VOCABULARY = fake_vocabulary()
ENDLESS = 10**9


def a_sequence(
    name: str, owner: str, length: int = 1, *, budget: int = ENDLESS, edited: bool = False, size: int = 10**6
) -> Sequence:
    window = Window(size, [1], Tokens([65] * (length - 1), [1] * (length - 1)), 0, VOCABULARY.starts)
    orders = SequenceParams(1, SamplingParams(seed=1), 0, 0, 0)
    return Sequence(name, owner, orders, window, VOCABULARY, budget, is_edited=edited)


def serve(works: list[ScheduledChunk]) -> None:
    """What the loop does with a step: everything asked for is computed, and a token is written."""
    for work in works:
        work.sequence.advance(work.count)
        if work.wants_logits:
            work.sequence.append(65, -1.0)


def run(scheduler: Scheduler, sequences: list[Sequence], steps: int, budget: int) -> Counter[str]:
    written: Counter[str] = Counter()
    for _ in range(steps):
        works = scheduler.schedule(sequences, budget)
        serve(works)
        written.update(work.sequence.id for work in works if work.wants_logits)
    return written


@given(st.lists(st.integers(0, 50), max_size=12), st.integers(0, 200))
def test_shares_are_max_min_fair(demands: list[int], amount: int) -> None:
    shares = share(demands, amount)
    assert sum(shares) == min(amount, sum(demands))
    assert all(0 <= given_ <= demand for given_, demand in zip(shares, demands, strict=True))
    unmet = [given_ for given_, demand in zip(shares, demands, strict=True) if given_ < demand]
    # Whoever is not served in full gets at least what anybody gets, but for the indivisible rest.
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
        works = scheduler.schedule(sequences, budget)
        assert works
        assert 0 < sum(work.count for work in works) <= budget
        slots = [work.sequence.slot for work in works]
        assert None not in slots
        assert len(set(slots)) == len(slots) <= scheduler.num_slots <= most
        serve(works)


def test_everybody_who_decodes_gets_one_token_while_somebody_prefills() -> None:
    scheduler = Scheduler(16)
    writers = [a_sequence(f"w{n}", f"o{n}") for n in range(8)]
    prefill = a_sequence("prefill", "p", 500)
    run(scheduler, writers, 2, 64)
    works = scheduler.schedule([*writers, prefill], 64)
    counts = {work.sequence.id: work.count for work in works}
    assert counts == {**{w.id: 1 for w in writers}, "prefill": 56}


def test_within_an_owners_share_edits_come_first_and_prefills_last() -> None:
    scheduler = Scheduler(8)
    writer, edit, fresh = a_sequence("w", "o"), a_sequence("e", "o", 40, edited=True), a_sequence("f", "o", 400)
    works = scheduler.schedule([fresh, writer, edit], 64)
    assert [(work.sequence.id, work.count) for work in works] == [("e", 40), ("w", 1), ("f", 23)]


@pytest.mark.parametrize("drafts", [(1, 15), (2, 10), (1, 1, 12), (5, 5)])
def test_owners_write_alike_however_many_drafts_they_have(drafts: tuple[int, ...]) -> None:
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
    # Who has fewest drafts loses no step.
    assert written["a0"] == 600


def test_who_is_alone_writes_with_all_drafts_at_once() -> None:
    scheduler = Scheduler(16)
    written = run(scheduler, [a_sequence(str(n), "o") for n in range(16)], 50, budget=64)
    assert set(written.values()) == {50}


def test_more_sequences_than_slots_take_turns() -> None:
    scheduler = Scheduler(2)
    sequences = [a_sequence(str(n), "o", 10) for n in range(6)]
    written = run(scheduler, sequences, 12 * TURN_TOKENS, budget=64)
    assert len(written) == 6
    assert max(written.values()) - min(written.values()) <= 2 * TURN_TOKENS


def test_an_owner_without_a_slot_gets_one_at_once_from_who_has_many() -> None:
    scheduler = Scheduler(4)
    crowd = [a_sequence(f"c{n}", "crowd") for n in range(8)]
    run(scheduler, crowd, 3, 64)
    newcomer = a_sequence("n", "new")
    works = scheduler.schedule([*crowd, newcomer], 64)
    assert "n" in {work.sequence.id for work in works}
    held = newcomer.slot
    run(scheduler, [*crowd, newcomer], 3 * TURN_TOKENS, 64)
    assert newcomer.slot == held


def test_an_idle_sequence_gives_up_its_slot_and_is_not_computed_again_for_nothing() -> None:
    scheduler = Scheduler(1)
    idle, busy = a_sequence("idle", "o", 20, budget=0), a_sequence("busy", "o", 20)
    run(scheduler, [idle], 2, 64)
    assert (idle.num_computed, idle.num_pending) == (19, 0)
    run(scheduler, [idle, busy], 5, 64)
    assert busy.slot is not None
    assert (idle.slot, idle.num_computed, idle.num_pending) == (None, 0, 0)
    idle.set_budget(5)
    assert idle.num_pending == 20


def test_where_there_is_memory_to_spare_nobody_waits_for_a_slot() -> None:
    scheduler = Scheduler(DEFAULT_SLOTS, lambda: scheduler.num_slots < 60)
    idle = a_sequence("idle", "o", 40, budget=1)
    crowd = [a_sequence(f"{number}", f"o{number % 3}", 40) for number in range(40)]
    run(scheduler, [idle], 5, 512)
    written = run(scheduler, [idle, *crowd], 5 * TURN_TOKENS, 512)
    assert {sequence.slot for sequence in crowd}.isdisjoint({None, idle.slot})
    assert idle.num_computed == 40
    # With some for shadows, as before.
    assert scheduler.num_slots == -(-41 * DEFAULT_SLOTS // SEQUENCE_SLOTS)
    assert min(written[sequence.id] for sequence in crowd) > 4 * TURN_TOKENS


def test_shadows_take_no_slot_from_who_is_only_held_where_some_are_kept_for_them() -> None:
    """Somebody types: what is computed of the draft is wanted again in a moment."""
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
