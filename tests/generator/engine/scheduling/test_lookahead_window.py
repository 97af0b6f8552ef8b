"""Lookahead window: a roll causes no pause, and the tokens are the same as without lookahead windows."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from itertools import pairwise

import pytest

from generator.engine.networks.fake import FakeRunner, fake_vocabulary
from generator.engine.networks.runner import BatchItem, Runner
from generator.engine.sampling.arrays import Floats
from generator.engine.scheduling import scheduler
from generator.engine.scheduling.lookahead_window import LookaheadWindow, begin_lookahead
from generator.engine.scheduling.sequence import Sequence, SequenceParams
from generator.engine.tokens.vocabulary import Tokens
from generator.engine.tokens.window import Window, stagger
from generator.wire.messages import Chunk, Rolled, Set
from generator.wire.sampling_params import SamplingParams
from tests.generator.engine.engine_loop import MODEL, Oracle, SteppedEngine
from tests.generator.engine.engine_process import GREEDY, a_set
from tests.generator.engine.tiny_models import tiny_runner

FAKE = fake_vocabulary()
SIZE = 256


class Recorded:
    """An engine with a record of the step of each token and of the number of tokens that each step computed."""

    def __init__(self, runner: Runner, step_tokens: int = 64) -> None:
        self.engine = SteppedEngine(runner)
        budget = self.engine.model.step_budget
        budget.tokens = budget._low = budget._high = step_tokens
        self.steps: dict[str, list[int]] = {}
        self.computed: list[int] = []
        forward = runner.forward

        def counting(items: AnySequence[BatchItem], should_stop: Callable[[], bool]) -> Floats:
            self.computed.append(sum(len(item.token_ids) for item in items))
            return forward(items, should_stop)

        runner.forward = counting  # type: ignore[method-assign]

    def run(self, steps: int, *commands: Set) -> Recorded:
        self.engine.send(*commands)
        for step in range(steps):
            seen = len(self.engine.events)
            self.engine.step()
            for event in self.engine.events[seen:]:
                if isinstance(event, Chunk):
                    self.steps.setdefault(event.sequence, []).extend([step] * len(event.tokens))
        return self

    def gaps(self, sequence: str) -> int:
        """Return the largest number of steps between two tokens. It is two if a character took two tokens."""
        return max(after - before for before, after in pairwise(self.steps[sequence]))

    @property
    def rolls(self) -> int:
        return sum(isinstance(event, Rolled) for event in self.engine.events)


def writers(count: int) -> list[Set]:
    return [
        a_set("Once upon a time", sequence=f"s{n}", model=MODEL, sampling=GREEDY, budget=10**6) for n in range(count)
    ]


@pytest.fixture
def without_lookahead(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(scheduler, "begin_lookahead", lambda sequence: None)
    return monkeypatch


def a_sequence(size: int, num_text: int) -> Sequence:
    window = Window(size, [FAKE.start_id], Tokens([65] * num_text, [1] * num_text), 0, FAKE.starts)
    params = SequenceParams(1, SamplingParams(seed=1), 0, 0, 0)
    return Sequence("s", "o", params, window, FAKE, budget=10**6)


def test_a_lookahead_window_begins_when_an_eighth_of_the_window_is_free() -> None:
    assert begin_lookahead(a_sequence(64, 54)) is None
    assert begin_lookahead(a_sequence(64, 55)) is not None


def test_a_lookahead_window_is_complete_when_the_present_window_is_full() -> None:
    sequence = a_sequence(64, 55)
    lookahead = begin_lookahead(sequence)
    assert lookahead is not None
    counts = []
    while not sequence.window.is_overfull:
        counts.append(lookahead.catch_up())
        lookahead.num_computed += counts[-1]
        sequence.window.append(66, 1)
    sequence.window.roll()
    assert lookahead.num_computed == len(lookahead.token_ids)
    assert [*lookahead.token_ids, 66] == sequence.token_ids
    assert max(counts) <= 6  # Half a window plus one new token per step, divided by eight steps.


@pytest.mark.parametrize("count", [1, 3, 8])
def test_every_step_writes_a_token_also_when_windows_roll(count: int) -> None:
    recorded = Recorded(FakeRunner(SIZE)).run(900, *writers(count))
    assert recorded.rolls >= 5 * count
    for number in range(count):
        assert recorded.gaps(f"s{number}") <= 2
    # Half a window is spread over the steps of an eighth of a window, and no step exceeds its budget.
    assert max(recorded.computed[20:]) <= min(64, count * 8)


def test_sixteen_sequences_that_begin_together_share_three_reserved_slots() -> None:
    recorded = Recorded(FakeRunner(SIZE)).run(900, *writers(16))
    assert recorded.rolls >= 5 * 16
    gaps = [after - before for steps in recorded.steps.values() for before, after in pairwise(steps)]
    assert sum(gap > 2 for gap in gaps) <= recorded.rolls // 20
    owners = recorded.engine.model.scheduler._slot_owners
    assert len({owner.id for owner in owners if owner is not None and not isinstance(owner, LookaheadWindow)}) == 16


def test_without_lookahead_windows_a_roll_causes_a_pause(without_lookahead: pytest.MonkeyPatch) -> None:
    assert Recorded(FakeRunner(SIZE)).run(900, *writers(3)).gaps("s0") > 2


@pytest.mark.parametrize("count", [1, 8, 20])
def test_the_text_is_the_same_as_without_lookahead_windows(count: int, without_lookahead: pytest.MonkeyPatch) -> None:
    plain = Recorded(FakeRunner(SIZE)).run(500, *writers(count)).engine
    without_lookahead.undo()
    ahead = Recorded(FakeRunner(SIZE)).run(500, *writers(count)).engine
    for number in range(count):
        left, right = plain.text(f"s{number}"), ahead.text(f"s{number}")
        shorter = min(len(left), len(right))
        assert shorter > 100
        assert left[:shorter] == right[:shorter]
        moves = min(len(plain.bases(f"s{number}")), len(ahead.bases(f"s{number}")))
        assert plain.bases(f"s{number}")[:moves] == ahead.bases(f"s{number}")[:moves]


@pytest.mark.parametrize("family", ["torch gpt2", "torch llama"])
def test_the_tokens_after_a_swap_are_those_of_the_window_computed_from_scratch(family: str) -> None:
    recorded = Recorded(tiny_runner(family, window=48)).run(150, *writers(1))
    engine, oracle = recorded.engine, Oracle(tiny_runner(family, window=48))
    assert recorded.rolls >= 3
    vocabulary = engine.model.runner.vocabulary
    ids = vocabulary.tokenize("Once upon a time").ids
    window = Window(48, [vocabulary.start_id], Tokens(list(ids), [1] * len(ids)), 0, vocabulary.starts)
    window.limit -= stagger("s0", 48)
    for token_id, length in [token[:2] for chunk in engine.chunks("s0") for token in chunk.tokens]:
        oracle.assert_greedy(window.token_ids, token_id)
        window.append(token_id, length)
        if window.is_overfull:
            window.roll()


def test_an_edit_ends_the_lookahead_window_and_new_sequences_take_its_slot_if_no_other_is_free() -> None:
    runner = FakeRunner(SIZE)
    runner.num_slots = 16
    recorded = Recorded(runner)
    slots = recorded.engine.model.scheduler
    run_until_lookahead(recorded, *writers(1))
    recorded.run(2, a_set("Another text", sequence="s0", model=MODEL, sampling=GREEDY, budget=10**6, epoch=2))
    assert not slots._lookaheads
    run_until_lookahead(recorded)
    recorded.run(3, *writers(16)[1:])
    assert None not in slots._slot_owners
    assert not slots._lookaheads
    assert len({sequence.id for sequence in slots._slot_owners if sequence}) == 16


def run_until_lookahead(recorded: Recorded, *commands: Set) -> None:
    recorded.run(1, *commands)
    for _ in range(SIZE):
        if not recorded.engine.model.scheduler._lookaheads:
            recorded.run(1)
    assert len(recorded.engine.model.scheduler._lookaheads) == 1
