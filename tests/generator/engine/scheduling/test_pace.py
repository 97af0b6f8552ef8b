"""Pace: words appear evenly at the chosen number per minute, and other sequences use the time between them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from generator.engine import loop
from generator.engine.networks.fake import FakeRunner, fake_vocabulary
from generator.engine.scheduling.pace import paced_idle, token_seconds
from generator.engine.scheduling.sequence import Sequence, SequenceParams
from generator.engine.tokens.window_builder import build_window
from generator.wire.messages import Chunk, Piece
from tests.generator.engine.engine_loop import MODEL, SteppedEngine
from tests.generator.engine.engine_process import GREEDY, a_set

STEP_SECONDS = 0.01


class Writing:
    """An engine whose steps all take the same time on its own clock, with a record of the time of each token."""

    def __init__(self) -> None:
        self.now = 0.0
        self.engine = SteppedEngine(FakeRunner(), lambda: self.now)
        self.times: dict[str, list[float]] = {}

    def run(self, seconds: float) -> None:
        end, engine = self.now + seconds, self.engine
        while self.now < end:
            engine.loop.drain(0)
            seen = len(engine.events)
            wait = engine.loop.step()
            for event in engine.events[seen:]:
                if isinstance(event, Chunk):
                    self.times.setdefault(event.sequence, []).extend([self.now] * len(event.tokens))
            self.now += min(wait or STEP_SECONDS, max(end - self.now, STEP_SECONDS))


@pytest.mark.parametrize("pace", [60, 240, 1000])
def test_words_appear_evenly_at_the_pace(pace: int) -> None:
    writing = Writing()
    paced = GREEDY.merged({"pace": pace})
    writing.engine.send(a_set("Once upon a time", model=MODEL, sampling=paced, budget=10**6))
    writing.run(120)  # The estimate of tokens per word has settled by then.
    begun = len(writing.engine.text().split())
    writing.run(150)
    assert len(writing.engine.text().split()) - begun == pytest.approx(2.5 * pace, rel=0.04)
    times = writing.times["s"]
    gaps = [after - before for before, after in pairwise(times) if after > before]
    # Only two tokens of one character arrive together.
    assert max(gaps) < 3 * 60 / pace + STEP_SECONDS
    middle = sorted(gaps)[len(gaps) // 2]
    assert sum(abs(gap - middle) < 0.25 * middle + STEP_SECONDS for gap in gaps) > 0.9 * len(gaps)


def test_a_paced_sequence_leaves_its_steps_to_other_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_TOKENS_PER_WRITER", 0)

    def others_tokens(pace: int | None) -> int:
        writing = Writing()
        paced = GREEDY.merged({"pace": pace})
        budget = writing.engine.model.step_budget
        budget.tokens = budget._low = budget._high = 1  # one token per step
        writing.engine.send(
            a_set("Once", model=MODEL, sampling=paced, budget=10**6, sequence="slow"),
            a_set("Once", model=MODEL, budget=10**6, sequence="fast", owner="another"),
        )
        writing.run(6)
        return len(writing.times["fast"])

    assert others_tokens(None) == pytest.approx(300, rel=0.05)
    assert others_tokens(60) == pytest.approx(600, rel=0.05)


def test_the_next_word_after_an_edit_appears_at_once() -> None:
    writing = Writing()
    paced = GREEDY.merged({"pace": 10})
    writing.engine.send(a_set("Once", model=MODEL, sampling=paced, budget=10**6))
    writing.run(21.0)
    writing.engine.send(a_set("Once more", model=MODEL, sampling=paced, budget=10**6, epoch=2))
    edited = writing.now
    writing.run(1.0)
    assert [time for time in writing.times["s"] if time >= edited] == pytest.approx([edited], abs=3 * STEP_SECONDS)


def test_a_paced_sequence_that_waits_lends_its_slot_to_a_ready_one() -> None:
    writing = Writing()
    slow = [
        a_set("Once", model=MODEL, sampling=GREEDY.merged({"pace": 10, "seed": n}), budget=10**6, sequence=f"slow{n}")
        for n in range(writing.engine.model.runner.num_slots)
    ]
    writing.engine.send(*(replace(command, owner=command.sequence) for command in slow))
    writing.run(60)
    begun = writing.now
    writing.engine.send(a_set("Once", model=MODEL, budget=10**6, sequence="new", owner="another"))
    writing.run(60)
    assert writing.times["new"][0] - begun <= 5 * STEP_SECONDS
    # The new sequence continues at full speed, and the others keep their pace.
    assert len([time for time in writing.times["new"] if time < begun + 5]) >= 0.8 * 5 / STEP_SECONDS
    for command in slow:
        before, after = (
            sum(first <= time < first + 60 for time in writing.times[command.sequence]) for first in (0, begun)
        )
        assert after >= 0.8 * before


def test_a_sequence_that_is_due_before_it_could_be_computed_again_does_not_lend_its_slot() -> None:
    writing = Writing()
    writing.engine.send(a_set("Once upon a time", model=MODEL, sampling=GREEDY.merged({"pace": 60}), budget=9))
    writing.run(STEP_SECONDS)
    due = writing.engine.loop.sequences.sequences_of(writing.engine.model)
    (tokens,), ready_at = {len(sequence.token_ids) for sequence in due}, due[0].ready_at
    assert paced_idle(due, lambda count: count / tokens, ready_at - 0.9) == []
    assert paced_idle(due, lambda count: count / tokens, ready_at - 1.1) == due


def test_the_sequence_with_the_longest_wait_lends_first() -> None:
    sequences = [a_sequence("a the the the") for _ in range(3)]
    for sequence, ready_at in zip(sequences, (5.0, 9.0, 7.0), strict=True):
        sequence.ready_at = ready_at
    assert [s.ready_at for s in paced_idle(sequences, lambda count: 1.0, 5.0)] == [9.0, 7.0]


def test_the_time_between_tokens_is_the_pace_times_the_words_per_token() -> None:
    assert token_seconds(a_sequence(" the river")) == 0
    # Two words in two tokens and the start token, and the prior of 12 words in 16 tokens.
    assert token_seconds(a_sequence(" the river", pace=60)) == pytest.approx((2 + 12) / (3 + 16))
    assert token_seconds(a_sequence(" the river", pace=120)) == pytest.approx((2 + 12) / (3 + 16) / 2)


def a_sequence(text: str, pace: int | None = None) -> Sequence:
    vocabulary = fake_vocabulary()
    window = build_window(vocabulary, 256, [vocabulary.start_id], (), [Piece(text)])
    params = SequenceParams(1, GREEDY.merged({"pace": pace}), 0, 0, 0)
    return Sequence("s", "o", params, window, vocabulary, budget=1)
