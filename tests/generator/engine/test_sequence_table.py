"""Sequence table: sets, budgets, drops and questions become sequences and probes of loaded models."""

from __future__ import annotations

import pytest

from generator.engine.networks.fake import FakeRunner
from generator.engine.scheduling.sequence import Phase, Sequence
from generator.wire.messages import Alternatives, AlternativesReady, Budget, Drop, Failed, ModelSpec, Piece, Premise
from tests.generator.engine.engine_loop import MODEL, SteppedEngine
from tests.generator.engine.engine_process import GREEDY, a_set


@pytest.fixture
def engine() -> SteppedEngine:
    return SteppedEngine(FakeRunner(64))


def sequences(engine: SteppedEngine) -> dict[str, Sequence]:
    engine.loop.drain(0)
    return {sequence.id: sequence for sequence in engine.loop.sequences.sequences_of(engine.model)}


def failures(engine: SteppedEngine) -> list[Failed]:
    return [event for event in engine.events if isinstance(event, Failed)]


def answers(engine: SteppedEngine) -> list[AlternativesReady]:
    return [event for event in engine.events if isinstance(event, AlternativesReady)]


def question(request: str = "r", text: str = "Once upon", at: int = 3) -> Alternatives:
    return Alternatives(request, "s", MODEL, None, (), (Piece(text),), at)


def test_a_set_of_an_older_epoch_is_ignored(engine: SteppedEngine) -> None:
    engine.run(a_set("Once", model=MODEL, epoch=3))
    engine.run(a_set("Twice upon", model=MODEL, epoch=2))
    assert sequences(engine)["s"].params.epoch == 3


def test_a_set_for_another_model_moves_the_sequence(engine: SteppedEngine) -> None:
    other = engine.loop.models.add(ModelSpec("folder", "other"), FakeRunner(64))
    engine.run(a_set("Once", model=MODEL, budget=3))
    slot = sequences(engine)["s"].slot
    assert slot is not None
    engine.run(a_set("Once", model=other.spec, epoch=2, budget=3))
    assert sequences(engine) == {}
    assert [s.id for s in engine.loop.sequences.sequences_of(other)] == ["s"]
    assert engine.model.scheduler._slot_owners[slot] is None
    assert engine.text(epoch=1)
    assert engine.text(epoch=2)


def test_a_dropped_sequence_frees_its_slot(engine: SteppedEngine) -> None:
    engine.run(a_set("Once", model=MODEL, budget=3))
    assert any(engine.model.scheduler._slot_owners)
    engine.run(Drop("s"), Drop("unknown"))
    assert sequences(engine) == {}
    assert not any(engine.model.scheduler._slot_owners)


def test_a_budget_of_zero_pauses_and_a_larger_one_resumes(engine: SteppedEngine) -> None:
    engine.send(a_set("Once", model=MODEL, budget=50))
    for _ in range(6):
        engine.step()
    engine.run(Budget("s", 1, 0))
    count = len(engine.ids())
    assert 0 < count < 50
    assert sequences(engine)["s"].phase is Phase.PAUSED
    engine.run(Budget("s", 1, 50))
    assert 50 <= len(engine.ids()) <= 53


def test_a_premise_that_is_too_large_fails_its_sequence(engine: SteppedEngine) -> None:
    engine.run(a_set("", model=MODEL, premise=Premise("{prompt}", "x" * 17), budget=5))
    (failed,) = failures(engine)
    assert (failed.sequence, failed.epoch) == ("s", 1)
    assert "takes 17 tokens" in failed.message
    engine.run(a_set("", model=MODEL, premise=Premise("{prompt}", "x" * 16), epoch=2, budget=5))
    assert len(engine.ids(epoch=2)) >= 5
    engine.run(Alternatives("r", "s", MODEL, Premise("{prompt}", "x" * 17), (), (Piece("a"),), 1))
    assert [answer.error for answer in answers(engine)] == [failed.message]


def test_a_base_that_moved_is_published_with_the_new_context(engine: SteppedEngine) -> None:
    engine.run(a_set("x" * 100, model=MODEL))
    (base,) = engine.bases()
    assert base == sequences(engine)["s"].window.base > 0


def test_a_question_is_answered_once_and_frees_its_slot(engine: SteppedEngine) -> None:
    engine.run(a_set("Once upon", model=MODEL, budget=1))
    engine.send(question(), question())
    assert sorted(sequences(engine)) == ["r", "s"]
    engine.run()
    (answer,) = answers(engine)
    assert (answer.request, answer.start, answer.end, answer.error) == ("r", 3, 4, "")
    assert "e" in dict(answer.options)
    assert sorted(sequences(engine)) == ["s"]
    owners = [owner.id for owner in engine.model.scheduler._slot_owners if owner is not None]
    assert owners == ["s"]


def test_a_probe_copies_the_computed_tokens_of_its_sequence(engine: SteppedEngine) -> None:
    engine.run(a_set("Once upon", model=MODEL, budget=1))
    engine.send(question(at=8))
    probe = sequences(engine)["r"]
    assert probe.num_computed == len(probe.token_ids) - 1
    copied, fresh = engine, SteppedEngine(FakeRunner(64))
    copied.run()
    fresh.run(question(at=8))
    assert answers(copied) == answers(fresh)


def test_a_probe_takes_the_slot_of_a_sequence_that_is_paced_idle_now_not_at_the_last_step() -> None:
    now, runner = [0.0], FakeRunner(64)
    runner.num_slots = 2
    engine = SteppedEngine(runner, lambda: now[0])
    paced = GREEDY.merged({"pace": 10})
    engine.send(
        a_set("Once upon", model=MODEL, sampling=GREEDY, budget=10**6),
        a_set("Once", model=MODEL, sequence="paced", owner="p", sampling=paced, budget=10**6),
    )
    engine.model.step_budget._target = 0.0  # The fake model computes at once.
    while sequences(engine)["paced"].ready_at <= now[0]:
        engine.step()
    due = sequences(engine)["paced"].ready_at
    now[0] = due + 1  # The sequence is due, so it keeps its slot.
    engine.send(question("late"))
    assert sequences(engine)["late"].slot is None
    now[0] = due - 1
    engine.send(question("early"))
    assert sequences(engine)["early"].slot is not None
    assert sequences(engine)["paced"].slot is None
