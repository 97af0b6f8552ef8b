"""A window that moves is not noticed: the same tokens as without shadows, and one in every step."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.networks.fake import FakeRunner, fake_vocabulary
from generator.engine.networks.runner import BatchItem, Runner
from generator.engine.sampling.arrays import Floats
from generator.engine.scheduling import scheduler
from generator.engine.scheduling.lookahead_window import LookaheadWindow
from generator.engine.tokens.vocabulary import Tokens
from generator.engine.tokens.window import Window, stagger
from generator.engine.tokens.window_builder import build_window
from generator.wire.messages import Chunk, Piece, Rolled, Set
from tests.generator.engine.engine_loop import MODEL, Oracle, SteppedEngine
from tests.generator.engine.engine_process import GREEDY, a_set
from tests.generator.engine.tiny_models import tiny_runner

FAKE = fake_vocabulary()
SIZE = 256


class Recorded:
    """What sequences wrote, and at which step; and how many tokens each step computed."""

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
        """The most steps between two tokens; two where a character took two tokens."""
        return max(after - before for before, after in pairwise(self.steps[sequence]))

    @property
    def rolls(self) -> int:
        return sum(isinstance(event, Rolled) for event in self.engine.events)


def writers(count: int) -> list[Set]:
    return [
        a_set("Once upon a time", sequence=f"s{n}", model=MODEL, sampling=GREEDY, budget=10**6) for n in range(count)
    ]


@pytest.fixture
def without_shadows(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(scheduler, "begin_shadow", lambda sequence: None)
    return monkeypatch


@given(st.lists(st.sampled_from([65, 66, 256, 260, 300, 0xF0, 0x9F, 0x8C, 0x8A]), min_size=40, max_size=60), st.data())
@settings(max_examples=60)
def test_the_window_ahead_is_the_one_it_rolls_to(written: list[int], data: st.DataObject) -> None:
    size = data.draw(st.sampled_from([16, 24, 32]))
    window = Window(size, [FAKE.start_id], Tokens([], []), 0, FAKE.starts)
    ahead: Window | None = None
    for token_id in written:
        window.append(token_id, 1 if token_id < 0xF0 or token_id > 255 else data.draw(st.integers(0, 2)))
        if ahead is not None:
            ahead.append(token_id, window.lengths[-1])
        ahead = ahead or window.ahead()
        if window.is_overfull:
            window.roll()
            assert ahead is not None
            assert (ahead.token_ids, ahead.lengths, ahead.base) == (window.token_ids, window.lengths, window.base)
            ahead = None


@pytest.mark.parametrize("count", [1, 3, 8])
def test_a_token_comes_in_every_step_also_when_windows_move(count: int) -> None:
    recorded = Recorded(FakeRunner(SIZE)).run(900, *writers(count))
    assert recorded.rolls >= 5 * count
    for number in range(count):
        assert recorded.gaps(f"s{number}") <= 2
    # Half a window's worth of tokens is spread over an eighth of its steps, and no step is over its budget.
    assert max(recorded.computed[20:]) <= min(64, count * 8)


def test_sixteen_that_begin_together_move_their_windows_one_after_another_in_three_spare_slots() -> None:
    recorded = Recorded(FakeRunner(SIZE)).run(900, *writers(16))
    assert recorded.rolls >= 5 * 16
    gaps = [after - before for steps in recorded.steps.values() for before, after in pairwise(steps)]
    assert sum(gap > 2 for gap in gaps) <= recorded.rolls // 20
    holders = recorded.engine.model.scheduler._holders
    assert (
        len({holder.id for holder in holders if holder is not None and not isinstance(holder, LookaheadWindow)}) == 16
    )


@given(st.integers(0, 60), st.integers(0, 12), st.booleans())
def test_the_first_move_comes_early_wherever_a_text_begins_and_later_ones_when_the_window_is_full(
    length: int, early: int, is_moved: bool
) -> None:
    before = (Piece("." * 40),) if is_moved else ()
    window = build_window(FAKE, 32, [FAKE.start_id], before, (Piece("." * length),), early)
    steps = 0
    while not window.is_overfull:
        window.append(46, 1)
        steps += 1
    base = window.base
    window.roll()
    assert window.num_text in (15, 16, 17)
    assert window.base > base
    assert window.limit == 32
    plain = build_window(FAKE, 32, [FAKE.start_id], before, (Piece("." * length),))
    late = 0
    while not plain.is_overfull:
        plain.append(46, 1)
        late += 1
    assert is_moved or length >= 31 - early or late - steps == early


def test_without_shadows_somebody_waits(without_shadows: pytest.MonkeyPatch) -> None:
    assert Recorded(FakeRunner(SIZE)).run(900, *writers(3)).gaps("s0") > 2


@pytest.mark.parametrize("count", [1, 8, 20])
def test_the_same_is_written_as_without(count: int, without_shadows: pytest.MonkeyPatch) -> None:
    plain = Recorded(FakeRunner(SIZE)).run(500, *writers(count)).engine
    without_shadows.undo()
    shadowed = Recorded(FakeRunner(SIZE)).run(500, *writers(count)).engine
    for number in range(count):
        left, right = plain.text(f"s{number}"), shadowed.text(f"s{number}")
        shorter = min(len(left), len(right))
        assert shorter > 100
        assert left[:shorter] == right[:shorter]
        moves = min(len(plain.bases(f"s{number}")), len(shadowed.bases(f"s{number}")))
        assert plain.bases(f"s{number}")[:moves] == shadowed.bases(f"s{number}")[:moves]


@pytest.mark.parametrize("family", ["torch gpt2", "torch llama"])
def test_across_a_swap_it_is_as_if_all_were_computed_anew(family: str) -> None:
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


def test_an_edit_ends_the_shadow_and_newcomers_take_its_slot_where_none_is_spare() -> None:
    runner = FakeRunner(SIZE)
    runner.num_slots = 16
    recorded = Recorded(runner)
    slots = recorded.engine.model.scheduler
    until_shadow(recorded, *writers(1))
    recorded.run(2, a_set("Another text", sequence="s0", model=MODEL, sampling=GREEDY, budget=10**6, epoch=2))
    assert not slots._shadows
    until_shadow(recorded)
    recorded.run(3, *writers(16)[1:])
    assert None not in slots._holders
    assert not slots._shadows
    assert len({sequence.id for sequence in slots._holders if sequence}) == 16


def until_shadow(recorded: Recorded, *commands: Set) -> None:
    recorded.run(1, *commands)
    for _ in range(SIZE):
        if not recorded.engine.model.scheduler._shadows:
            recorded.run(1)
    assert len(recorded.engine.model.scheduler._shadows) == 1
