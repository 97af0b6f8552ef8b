"""Loaded models: under the memory budget the least recently used model is unloaded, never one that is writing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue

import pytest

from generator.engine.loading import loaded_models
from generator.engine.loading.loaded_models import LoadedModel, LoadedModels, LoadFinished
from generator.engine.loop import Loop
from generator.engine.networks.fake import FakeRunner
from generator.engine.networks.runner import DEFAULT_SLOTS, BatchItem, LoadOptions
from generator.engine.sampling.arrays import Floats
from generator.wire.messages import (
    Alternatives,
    AlternativesReady,
    Budget,
    Chunk,
    EngineEvent,
    Failed,
    ModelSpec,
    Status,
)
from tests.generator.engine.engine_loop import MODEL, SteppedEngine
from tests.generator.engine.engine_process import a_set

ONE = LoadedModel(ModelSpec("fake", "instant"), FakeRunner(), lambda _: False).num_bytes


class ThreadlessLoop:
    """A loop without loading threads and with memory for a number of models. The test finishes each load."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, num_models: float) -> None:
        self.events: list[EngineEvent] = []
        self.loop = Loop(LoadOptions(Path(), memory=int(num_models * ONE)), self.events.append)
        self.loading: list[str] = []
        monkeypatch.setattr("generator.engine.loading.loaded_models.threading.Thread", self._thread)

    def _thread(self, args: tuple[ModelSpec], **options: object) -> ThreadlessLoop:
        self.loading.append(args[0].location)
        return self

    def start(self) -> None:
        """Take the place of `Thread.start`."""

    def load(self, name: str) -> None:
        self.loop.drain(0)
        self.loop.models.load(model(name))
        self.finish_loads()

    def finish_loads(self) -> None:
        for name in self.loading:
            self.loop._apply(LoadFinished(model(name), FakeRunner()))
        self.loading.clear()

    def run(self, steps: int = 50) -> None:
        self.loop.drain(0)
        for _ in range(steps):
            self.loop.step()

    @property
    def loaded(self) -> set[str]:
        return {loaded.spec.location for loaded in self.loop.models.loaded.values()}

    def statuses(self, name: str) -> list[str]:
        return [e.state for e in self.events if isinstance(e, Status) and e.model.location == name]

    def text(self, sequence: str) -> str:
        return "".join(e.text for e in self.events if isinstance(e, Chunk) and e.sequence == sequence)


def model(name: str) -> ModelSpec:
    return ModelSpec("fake", name)


def test_the_least_recently_used_model_is_unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ThreadlessLoop(monkeypatch, num_models=3)
    for name in "abc":
        engine.load(name)
    engine.loop.submit(a_set("Once", model=model("a"), budget=3))
    engine.run()
    engine.loop.submit(Budget("s", 1, 0))
    engine.load("d")
    assert engine.loaded == {"a", "c", "d"}
    assert engine.statuses("b") == ["loading", "ready", "unloaded"]
    engine.load("e")
    assert engine.loaded == {"a", "d", "e"}


def test_a_writing_model_stays_and_the_new_one_fails_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ThreadlessLoop(monkeypatch, num_models=1)
    engine.load("a")
    engine.loop.submit(a_set("Once", model=model("a"), budget=20))
    engine.run()  # The budget is used up, but it may be raised at any moment.
    engine.loop.submit(a_set("Once", model=model("b"), budget=5, sequence="t"))
    engine.loop.drain(0)
    engine.finish_loads()
    assert engine.loaded == {"a"}
    (failed,) = [event for event in engine.events if isinstance(event, Failed)]
    assert failed.sequence == "t"
    assert "no memory" in failed.message
    engine.loop.submit(Budget("s", 1, 0))
    engine.loop.drain(0)
    engine.load("c")
    assert engine.loaded == {"c"}


def test_a_model_without_memory_loads_once_the_others_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ThreadlessLoop(monkeypatch, num_models=1)
    engine.load("a")
    engine.loop.submit(a_set("Once", model=model("a"), budget=20))
    engine.run()
    engine.load("b")
    # This is not a failed load, which the menu would show for a while.
    assert engine.statuses("b") == ["loading", "unloaded"]
    another = a_set("Once", model=model("b"), budget=5, sequence="t")
    engine.loop.submit(another)
    engine.loop.drain(0)
    assert engine.loading == []  # The size is known, so the load is not repeated in vain.
    assert [event.sequence for event in engine.events if isinstance(event, Failed)] == ["t"]
    engine.loop.submit(Budget("s", 1, 0))
    engine.loop.submit(replace(another, epoch=2))
    engine.loop.drain(0)
    engine.finish_loads()
    engine.run()
    assert engine.loaded == {"b"}
    assert engine.text("t")


def test_a_model_larger_than_all_memory_is_loaded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ThreadlessLoop(monkeypatch, num_models=0)
    engine.load("a")
    assert engine.loaded == {"a"}
    engine.load("b")
    assert engine.loaded == {"b"}


@pytest.mark.parametrize("written", [0, 7])
def test_a_paused_sequence_continues_as_if_its_model_had_not_been_unloaded(
    monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    def text(interrupted: bool) -> str:
        engine = ThreadlessLoop(monkeypatch, num_models=1)
        engine.load("a")
        engine.loop.submit(a_set("Once", model=model("a"), budget=written))
        engine.run()
        engine.loop.submit(Budget("s", 1, 0))
        if interrupted:
            engine.load("b")
            assert engine.loaded == {"b"}
        engine.loop.submit(Budget("s", 1, 30))
        engine.loop.drain(0)
        engine.finish_loads()
        engine.run()
        assert engine.loaded == {"a"}
        return engine.text("s")

    assert text(interrupted=True) == text(interrupted=False)
    assert len(text(interrupted=True).split()) > 15


def test_a_new_context_loads_the_model_again(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ThreadlessLoop(monkeypatch, num_models=1)
    engine.load("a")
    engine.loop.submit(a_set("Once", model=model("a"), budget=0))
    engine.run()
    engine.load("b")
    engine.loop.submit(a_set("Twice", model=model("a"), budget=9, epoch=2))
    engine.loop.drain(0)
    engine.finish_loads()
    engine.run()
    fresh = SteppedEngine(FakeRunner())
    fresh.run(replace(a_set("Twice", budget=9, epoch=2), model=MODEL))
    assert engine.text("s") == fresh.text()


def test_a_model_stays_until_the_alternatives_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ThreadlessLoop(monkeypatch, num_models=1)
    engine.load("a")
    command = a_set("Once upon", model=model("a"))
    engine.loop.submit(Alternatives("r", "s", command.model, None, (), command.pieces, 3))
    engine.loop.drain(0)
    engine.load("b")
    assert engine.loaded == {"a"}
    engine.run()
    assert [event.error for event in engine.events if isinstance(event, AlternativesReady)] == [""]
    engine.load("c")
    assert engine.loaded == {"c"}


def test_additional_slots_count_and_take_at_most_half_of_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ThreadlessLoop(monkeypatch, num_models=4.2)
    engine.load("a")
    slot_bytes, default = FakeRunner().slot_bytes, engine.loop.models.loaded[model("a").key].scheduler.num_slots
    for number in range(60):
        engine.loop.submit(a_set("Once", sequence=f"s{number}", model=model("a"), budget=1000))
    engine.run()
    busy = engine.loop.models.loaded[model("a").key]
    assert default < busy.scheduler.num_slots < 60
    assert (
        2.1 * ONE - slot_bytes < busy.num_bytes == ONE + (busy.scheduler.num_slots - default) * slot_bytes <= 2.1 * ONE
    )
    engine.load("b")
    engine.load("c")
    assert engine.loaded == {"a", "b", "c"}
    engine.loop.submit(a_set("Once", sequence="t", model=model("b"), budget=1000))
    engine.run()
    engine.load("d")
    assert engine.loaded == {"a", "b", "d"}


def test_a_step_does_not_grow_for_slots_without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = ThreadlessLoop(monkeypatch, num_models=1)
    engine.load("a")
    loaded = engine.loop.models.loaded[model("a").key]
    loaded.step_budget.tokens = loaded.step_budget._low = loaded.step_budget._high = 16
    forward, sizes = loaded.runner.forward, list[int]()

    def counted(items: Sequence[BatchItem], should_stop: Callable[[], bool]) -> Floats:
        sizes.append(sum(len(item.token_ids) for item in items))
        return forward(items, should_stop)

    monkeypatch.setattr(loaded.runner, "forward", counted)
    for number in range(60):
        engine.loop.submit(a_set("Once upon a time " * 50, sequence=f"s{number}", model=model("a"), budget=1000))
    engine.run(300)
    assert max(sizes) == 3 * DEFAULT_SLOTS


def models_with_threads(statuses: list[Status], finished: SimpleQueue[LoadFinished]) -> LoadedModels:
    def publish(event: EngineEvent) -> None:
        assert isinstance(event, Status)
        statuses.append(event)

    return LoadedModels(LoadOptions(Path()), publish, finished.put)


def test_a_loading_thread_hands_over_a_runner() -> None:
    statuses, finished = list[Status](), SimpleQueue[LoadFinished]()
    models = models_with_threads(statuses, finished)
    models.load(model("slow-load"))
    models.load(model("slow-load"))
    loaded = models.finish(finished.get(timeout=30))
    assert loaded is not None
    assert models.loaded == {model("slow-load").key: loaded}
    assert [status.state for status in statuses] == ["loading"] * 11
    assert [status.progress for status in statuses[1:]] == [step / 10 for step in range(1, 11)]
    assert finished.empty()


@pytest.mark.parametrize(
    ("spec", "reason"), [(model("unheard-of"), "no fake model"), (ModelSpec("fake", "instant", 3), "too small")]
)
def test_a_failed_load_keeps_its_reason_for_a_while(
    spec: ModelSpec, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses, finished = list[Status](), SimpleQueue[LoadFinished]()
    models = models_with_threads(statuses, finished)
    assert models.recent_failure(spec) == ""
    models.load(spec)
    assert models.finish(finished.get(timeout=30)) is None
    assert (statuses[-1].state, statuses[-1].reason) == ("failed", models.recent_failure(spec))
    assert reason in models.recent_failure(spec)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 11)
    assert models.recent_failure(spec) == ""


def test_any_error_of_a_library_is_a_failed_load(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("inside a library")

    monkeypatch.setattr(loaded_models, "load_fake", fail)
    finished = SimpleQueue[LoadFinished]()
    models_with_threads([], finished).load(model("instant"))
    result = finished.get(timeout=30)
    assert result.runner is None
    assert result.reason == "The model could not be loaded (ZeroDivisionError)."
    assert "inside a library" in caplog.text
