"""A draft's pace: so many words a minute, evenly, at once after an edit, and others have the rest of the time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from generator.engine import loop
from generator.engine.networks.fake import FakeRunner
from generator.engine.scheduling.pace import resting
from generator.wire.messages import Chunk
from tests.generator.engine.engine_loop import MODEL, SteppedEngine
from tests.generator.engine.engine_process import GREEDY, a_set

STEP_SECONDS = 0.01


class Writing:
    """An engine whose steps take as long as each other, by a clock that nothing else moves."""

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
def test_words_come_as_often_as_asked_and_evenly(pace: int) -> None:
    writing = Writing()
    paced = GREEDY.merged({"pace": pace})
    writing.engine.send(a_set("Once upon a time", model=MODEL, sampling=paced, budget=10**6))
    writing.run(120)  # By then it is known how many tokens this model's words take.
    begun = len(writing.engine.text().split())
    writing.run(150)
    assert len(writing.engine.text().split()) - begun == pytest.approx(2.5 * pace, rel=0.04)
    times = writing.times["s"]
    gaps = [after - before for before, after in pairwise(times) if after > before]
    # Two tokens of one character are handed over together; all else comes one by one.
    assert max(gaps) < 3 * 60 / pace + STEP_SECONDS
    middle = sorted(gaps)[len(gaps) // 2]
    assert sum(abs(gap - middle) < 0.25 * middle + STEP_SECONDS for gap in gaps) > 0.9 * len(gaps)


def test_who_waits_leaves_room_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_TOKENS_PER_WRITER", 0)

    def others_tokens(pace: int | None) -> int:
        writing = Writing()
        paced = GREEDY.merged({"pace": pace})
        budget = writing.engine.model.step_budget
        budget.tokens = budget._low = budget._high = 1  # one row a step
        writing.engine.send(
            a_set("Once", model=MODEL, sampling=paced, budget=10**6, sequence="slow"),
            a_set("Once", model=MODEL, budget=10**6, sequence="fast", owner="another"),
        )
        writing.run(6)
        return len(writing.times["fast"])

    assert others_tokens(None) == pytest.approx(300, rel=0.05)
    assert others_tokens(60) == pytest.approx(600, rel=0.05)


def test_the_next_word_after_an_edit_comes_at_once() -> None:
    writing = Writing()
    paced = GREEDY.merged({"pace": 10})
    writing.engine.send(a_set("Once", model=MODEL, sampling=paced, budget=10**6))
    writing.run(21.0)
    writing.engine.send(a_set("Once more", model=MODEL, sampling=paced, budget=10**6, epoch=2))
    edited = writing.now
    writing.run(1.0)
    assert [time for time in writing.times["s"] if time >= edited] == pytest.approx([edited], abs=3 * STEP_SECONDS)


def test_who_waits_for_his_time_lends_his_slot_to_who_is_ready() -> None:
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
    # He goes on at full speed, and the others at theirs.
    assert len([time for time in writing.times["new"] if time < begun + 5]) >= 0.8 * 5 / STEP_SECONDS
    for command in slow:
        before, after = (
            sum(first <= time < first + 60 for time in writing.times[command.sequence]) for first in (0, begun)
        )
        assert after >= 0.8 * before


def test_who_is_due_sooner_than_he_could_be_computed_again_does_not_lend_his_slot() -> None:
    writing = Writing()
    writing.engine.send(a_set("Once upon a time", model=MODEL, sampling=GREEDY.merged({"pace": 60}), budget=9))
    writing.run(STEP_SECONDS)
    due = writing.engine.loop.roster.sequences_of(writing.engine.model)
    (tokens,), ready_at = {len(sequence.token_ids) for sequence in due}, due[0].ready_at
    assert resting(due, lambda count: count / tokens, ready_at - 0.9) == []
    assert resting(due, lambda count: count / tokens, ready_at - 1.1) == due
