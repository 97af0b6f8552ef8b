"""Several models under a memory budget: the one that was not used for longest goes, never one that writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from generator.engine.loading.loaded_models import LoadedModel, LoadFinished
from generator.engine.loop import Loop
from generator.engine.networks.fake import FakeRunner
from generator.engine.networks.memory_size import memory_size
from generator.engine.networks.runner import DEFAULT_SLOTS, BatchItem, LoadOptions
from generator.engine.sampling.arrays import Floats
from generator.wire.messages import (
    Alternatives,
    AlternativesReady,
    Budget,
    Chunk,
    EngineEvent,
    Failed,
    Load,
    ModelSpec,
    Status,
)
from tests.generator.engine.engine_loop import MODEL, SteppedEngine
from tests.generator.engine.engine_process import a_set
from tests.generator.engine.tiny_models import tiny_model, tiny_runner

ONE = LoadedModel(ModelSpec("fake", "instant"), FakeRunner(), lambda _: False).num_bytes


class Desk:
    """A loop without threads: a load is finished when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room_for: float) -> None:
        self.events: list[EngineEvent] = []
        self.loop = Loop(LoadOptions(Path(), memory=int(room_for * ONE)), self.events.append)
        self.asked: list[str] = []
        monkeypatch.setattr("generator.engine.loading.loaded_models.threading.Thread", self._thread)

    def _thread(self, args: tuple[ModelSpec], **options: object) -> Desk:
        self.asked.append(args[0].location)
        return self

    def start(self) -> None:
        """What is asked of the thread that would load."""

    def load(self, name: str) -> None:
        self.loop.submit(Load(model(name)))
        self.loop.drain(0)
        self.arrive()

    def arrive(self) -> None:
        """All models that were asked for are there."""
        for name in self.asked:
            self.loop._apply(LoadFinished(model(name), FakeRunner()))
        self.asked.clear()

    def work(self, steps: int = 50) -> None:
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


def test_the_one_that_was_not_used_for_longest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, room_for=3)
    for name in "abc":
        desk.load(name)
    desk.loop.submit(a_set("Once", model=model("a"), budget=3))
    desk.work()
    desk.loop.submit(Budget("s", 1, 0))
    desk.load("d")
    assert desk.loaded == {"a", "c", "d"}
    assert desk.statuses("b") == ["loading", "ready", "unloaded"]
    desk.load("e")
    assert desk.loaded == {"a", "d", "e"}


def test_one_that_writes_stays_and_the_new_one_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, room_for=1)
    desk.load("a")
    desk.loop.submit(a_set("Once", model=model("a"), budget=20))
    desk.work()  # All of its budget is written; more may come, as soon as it was read.
    desk.loop.submit(a_set("Once", model=model("b"), budget=5, sequence="t"))
    desk.loop.drain(0)
    desk.arrive()
    assert desk.loaded == {"a"}
    (failed,) = [event for event in desk.events if isinstance(event, Failed)]
    assert failed.sequence == "t"
    assert "no memory" in failed.message
    desk.loop.submit(Budget("s", 1, 0))
    desk.loop.drain(0)
    desk.load("c")
    assert desk.loaded == {"c"}


def test_who_found_no_memory_gets_it_as_soon_as_others_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, room_for=1)
    desk.load("a")
    desk.loop.submit(a_set("Once", model=model("a"), budget=20))
    desk.work()
    desk.load("b")
    # That is no failure of the model, which the menu would tell everybody for a while.
    assert desk.statuses("b") == ["loading", "unloaded"]
    another = a_set("Once", model=model("b"), budget=5, sequence="t")
    desk.loop.submit(another)
    desk.loop.drain(0)
    assert desk.asked == []  # Its size is known by now: it is not loaded again for nothing.
    assert [event.sequence for event in desk.events if isinstance(event, Failed)] == ["t"]
    desk.loop.submit(Budget("s", 1, 0))
    desk.loop.submit(replace(another, epoch=2))
    desk.loop.drain(0)
    desk.arrive()
    desk.work()
    assert desk.loaded == {"b"}
    assert desk.text("t")


def test_a_model_larger_than_all_memory_is_loaded_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, room_for=0)
    desk.load("a")
    assert desk.loaded == {"a"}
    desk.load("b")
    assert desk.loaded == {"b"}


@pytest.mark.parametrize("written", [0, 7])
def test_who_was_paused_goes_on_as_if_nothing_had_been_unloaded(monkeypatch: pytest.MonkeyPatch, written: int) -> None:
    def text(interrupted: bool) -> str:
        desk = Desk(monkeypatch, room_for=1)
        desk.load("a")
        desk.loop.submit(a_set("Once", model=model("a"), budget=written))
        desk.work()
        desk.loop.submit(Budget("s", 1, 0))
        if interrupted:
            desk.load("b")
            assert desk.loaded == {"b"}
        desk.loop.submit(Budget("s", 1, 30))
        desk.loop.drain(0)
        desk.arrive()
        desk.work()
        assert desk.loaded == {"a"}
        return desk.text("s")

    assert text(interrupted=True) == text(interrupted=False)
    assert len(text(interrupted=True).split()) > 15


def test_a_new_context_loads_the_model_again(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, room_for=1)
    desk.load("a")
    desk.loop.submit(a_set("Once", model=model("a"), budget=0))
    desk.work()
    desk.load("b")
    desk.loop.submit(a_set("Twice", model=model("a"), budget=9, epoch=2))
    desk.loop.drain(0)
    desk.arrive()
    desk.work()
    fresh = SteppedEngine(FakeRunner())
    fresh.run(replace(a_set("Twice", budget=9, epoch=2), model=MODEL))
    assert desk.text("s") == fresh.text()


def test_who_asks_for_alternatives_keeps_the_model_until_they_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, room_for=1)
    desk.load("a")
    command = a_set("Once upon", model=model("a"))
    desk.loop.submit(Alternatives("r", "s", command.model, None, (), command.pieces, 3))
    desk.loop.drain(0)
    desk.load("b")
    assert desk.loaded == {"a"}
    desk.work()
    assert [event.error for event in desk.events if isinstance(event, AlternativesReady)] == [""]
    desk.load("c")
    assert desk.loaded == {"c"}


def test_more_slots_than_usual_take_half_of_the_memory_at_most_and_count(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, room_for=4.2)
    desk.load("a")
    slot, usual = FakeRunner().slot_bytes, desk.loop.models.loaded[model("a").key].scheduler.num_slots
    for number in range(60):
        desk.loop.submit(a_set("Once", sequence=f"s{number}", model=model("a"), budget=1000))
    desk.work()
    busy = desk.loop.models.loaded[model("a").key]
    assert usual < busy.scheduler.num_slots < 60
    assert 2.1 * ONE - slot < busy.num_bytes == ONE + (busy.scheduler.num_slots - usual) * slot <= 2.1 * ONE
    desk.load("b")
    desk.load("c")
    assert desk.loaded == {"a", "b", "c"}
    desk.loop.submit(a_set("Once", sequence="t", model=model("b"), budget=1000))
    desk.work()
    desk.load("d")
    assert desk.loaded == {"a", "b", "d"}


def test_a_step_is_no_larger_for_slots_there_is_no_memory_for(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(monkeypatch, room_for=1)
    desk.load("a")
    loaded = desk.loop.models.loaded[model("a").key]
    loaded.step_budget.tokens = loaded.step_budget._low = loaded.step_budget._high = 16
    forward, sizes = loaded.runner.forward, list[int]()

    def counted(rows: Sequence[BatchItem], should_stop: Callable[[], bool]) -> Floats:
        sizes.append(sum(len(row.token_ids) for row in rows))
        return forward(rows, should_stop)

    monkeypatch.setattr(loaded.runner, "forward", counted)
    for number in range(60):
        desk.loop.submit(a_set("Once upon a time " * 50, sequence=f"s{number}", model=model("a"), budget=1000))
    desk.work(300)
    assert max(sizes) == 3 * DEFAULT_SLOTS


def test_the_footprint_is_that_of_all_numbers_counted_once() -> None:
    numbers = np.zeros(1000)
    assert memory_size({"a": [numbers, numbers[10:], (numbers,)], "b": "text", "c": np.zeros(10, np.int8)}) == 8010
    weights = sum(parameter.nbytes for parameter in tiny_model("gpt2").parameters())
    general, packed = memory_size(tiny_runner("gpt2")), memory_size(tiny_runner("torch gpt2"))
    cache = 2 * 2 * 4 * 48 * 48 * torch.float32.itemsize  # keys and values, layers, slots, window, width
    for found in (general, packed):
        # The packed one has a head of its own; buffers are small.
        assert cache + weights <= found < cache + 1.5 * weights
