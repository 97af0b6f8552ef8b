"""Loop: commands take effect between steps, an edit interrupts a long prefill once, and errors fail one sequence."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Sequence as AnySequence

from generator.engine.networks.fake import FakeRunner
from generator.engine.networks.runner import BatchItem, Interrupted
from generator.engine.sampling.arrays import Floats
from generator.engine.scheduling.sequence import Phase
from generator.wire.messages import Alternatives, AlternativesReady, Budget, Drop, Failed, Piece, Set
from tests.generator.engine.engine_loop import MODEL, SteppedEngine
from tests.generator.engine.engine_process import GREEDY, a_set

LONG = "the river ran " * 80


def a_model_set(text: str, sequence: str = "s", epoch: int = 1, budget: int = 5) -> Set:
    return a_set(text, model=MODEL, sequence=sequence, epoch=epoch, owner=sequence, budget=budget)


def with_short_steps(runner: FakeRunner) -> SteppedEngine:
    """Return an engine whose steps always compute 64 tokens, so that the prefill of `LONG` takes many of them."""
    engine = SteppedEngine(runner)
    budget = engine.model.step_budget
    budget._low = budget._high = budget.tokens = 64
    return engine


class EditingRunner(FakeRunner):
    """A fake model that calls `edit` during each forward and counts the interrupted ones."""

    def __init__(self) -> None:
        super().__init__(1024)
        self.edit: Callable[[], None] = lambda: None
        self.forwards = self.interruptions = 0

    def forward(self, items: AnySequence[BatchItem], should_stop: Callable[[], bool]) -> Floats:
        self.forwards += 1
        self.edit()
        if should_stop():
            self.interruptions += 1
            raise Interrupted
        return super().forward(items, should_stop)


def test_a_context_that_a_later_command_replaces_is_not_tokenized() -> None:
    engine = SteppedEngine(FakeRunner())
    unreadable = a_set((Piece("\ud800"),), model=MODEL, budget=5)
    engine.run(unreadable, a_model_set("Once", epoch=2))
    assert not [event for event in engine.events if isinstance(event, Failed)]
    assert engine.text(epoch=2)
    engine.run(a_set((Piece("\ud800"),), model=MODEL, epoch=3), Drop("s"))
    assert not [event for event in engine.events if isinstance(event, Failed)]


def test_an_edit_interrupts_a_long_prefill_of_its_sequence_but_not_twice_in_a_row() -> None:
    runner = EditingRunner()
    engine = with_short_steps(runner)
    epochs = iter(range(2, 100))
    runner.edit = lambda: engine.send(a_model_set(LONG, epoch=next(epochs)))
    engine.send(a_model_set(LONG))
    for _ in range(8):
        engine.step()
    assert (runner.forwards, runner.interruptions) == (8, 4)


def test_an_edit_of_another_sequence_interrupts_nothing() -> None:
    runner = EditingRunner()
    engine = with_short_steps(runner)
    epochs = iter(range(2, 100))
    runner.edit = lambda: engine.send(a_model_set("Once", "other", next(epochs)))
    engine.send(a_model_set(LONG))
    for _ in range(8):
        engine.step()
    assert (runner.forwards, runner.interruptions) == (8, 0)


def test_a_step_returns_the_time_until_the_next_paced_token() -> None:
    now = [0.0]
    engine = SteppedEngine(FakeRunner(), lambda: now[0])
    engine.loop.drain(0)
    assert engine.loop.step() is None
    engine.send(a_set("Once", model=MODEL, sampling=GREEDY.merged({"pace": 10}), budget=10**6))
    engine.loop.drain(0)
    while engine.loop.step() == 0:
        pass
    wait = engine.loop.step()
    (sequence,) = engine.loop.sequences.sequences_of(engine.model)
    assert wait == sequence.ready_at > 1
    now[0] = sequence.ready_at
    assert engine.loop.step() == 0


def test_a_command_of_another_thread_wakes_the_loop() -> None:
    engine = SteppedEngine(FakeRunner())
    threading.Timer(0.01, engine.send, [a_model_set("Once")]).start()
    engine.loop.drain(20)
    assert [s.id for s in engine.loop.sequences.sequences_of(engine.model)] == ["s"]


def test_settings_that_cannot_be_sampled_fail_only_their_sequence() -> None:
    engine = SteppedEngine(FakeRunner())
    engine.send(a_model_set("Once", budget=20), a_model_set("Once", "other", budget=20))
    engine.step()
    broken = next(s for s in engine.loop.sequences.sequences_of(engine.model) if s.id == "s")
    broken.banned_ids = lambda: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    engine.run()
    (failed,) = [event for event in engine.events if isinstance(event, Failed)]
    assert (failed.sequence, failed.epoch) == ("s", 1)
    assert "settings" in failed.message
    assert broken.phase is Phase.STOPPED
    assert len(engine.ids("other")) >= 20


def test_a_model_that_fails_answers_questions_with_an_error() -> None:
    runner = FakeRunner(raises=1)
    engine = SteppedEngine(runner)
    engine.run(Alternatives("r", "s", MODEL, None, (), (Piece("Once"),), 4))
    (answer,) = [event for event in engine.events if isinstance(event, AlternativesReady)]
    assert (answer.options, answer.error) == ((), "The model failed while computing.")


def test_a_budget_of_an_older_epoch_changes_nothing() -> None:
    engine = SteppedEngine(FakeRunner())
    engine.run(a_model_set("Once", epoch=2, budget=3), Budget("s", 1, 50), Budget("s", 3, 50))
    assert 3 <= len(engine.ids()) <= 6
