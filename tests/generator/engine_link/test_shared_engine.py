"""The shared engine: events find their way, and no question waits for an engine that is gone."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from generator.engine_link.order import SequenceName
from generator.engine_link.shared_engine import EngineStatus, SharedEngine, draft_event
from generator.models.menu import MenuEntry
from generator.wire.messages import (
    Alternatives,
    AlternativesReady,
    Chunk,
    Drop,
    Ended,
    Failed,
    ModelSpec,
    Rolled,
    Set,
    Status,
)
from stories.draft.events import RunStopped, WindowMoved, Wrote
from stories.draft.state import Run
from stories.errors import Refused
from stories.text.update import Token
from tests.generator.drafts.draft_room import RecordingEngine
from tests.stories.writers import new_state

SPEC = ModelSpec("fake", "instant")
ENTRY = MenuEntry("Fake", "fake:instant", "continue", SPEC, None)
QUESTION = Alternatives("r", "draft", SPEC, None, (), (), 0)


@dataclass
class Heard:
    events: list[tuple[Any, ...]] = field(default_factory=list)
    engine: RecordingEngine | None = None

    def make(self, **reports: Any) -> RecordingEngine:
        self.engine = RecordingEngine(**reports)
        return self.engine

    def note(self, *event: Any) -> None:
        self.events.append(event)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def shared(heard: Heard) -> SharedEngine:
    return SharedEngine(heard.make, heard.note, heard.note, heard.note, heard.note)


def engine_of(heard: Heard) -> RecordingEngine:
    assert heard.engine is not None
    return heard.engine


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (Chunk("d", 3, "a😀", ((5, 1, -0.5), (6, 2, -1.0)), "t"), None),
        (Rolled("d", 3, -7), WindowMoved(3, -7)),
        (Ended("d", 3), RunStopped(3, "ended")),
        (Failed("d", 3, "It broke."), RunStopped(3, "failed", "It broke.")),
    ],
)
def test_the_engines_events_reach_their_draft_in_its_terms(
    shared: SharedEngine, heard: Heard, event: Any, expected: object
) -> None:
    expected = expected or Wrote(3, "a\ud83d\ude00", (Token(5, 1, -0.5), Token(6, 2, -1.0)), "t")
    assert draft_event(event) == expected
    engine_of(heard).reports["on_event"](event)
    assert heard.events == [("d", expected)]
    assert shared.tokens == (2 if isinstance(event, Chunk) else 0)


def test_a_models_status_is_known_until_the_engine_is_gone(shared: SharedEngine, heard: Heard) -> None:
    status = Status(SPEC, "ready", 1.0)
    engine_of(heard).reports["on_event"](status)
    assert heard.events == [(status,)]
    link = shared.link(SequenceName("draft", "me", "continue"))
    assert link.status() == EngineStatus(True, None), "it was not told to write yet"
    link.tell(replace(new_state("Once"), run=Run(None, 0, 7)), ENTRY)
    assert link.status().model == status
    engine_of(heard).reports["on_down"]("It has stopped.")
    assert link.status().model is None
    link.drop()
    assert [type(command) for command in engine_of(heard).commands] == [Set, Drop]


def test_a_question_is_answered_once(shared: SharedEngine, heard: Heard) -> None:
    waiting = shared.ask(QUESTION)
    assert engine_of(heard).commands == [QUESTION]
    answer = AlternativesReady("r", 0, 4, ((" the", 0.5),))
    engine_of(heard).reports["on_event"](answer)
    engine_of(heard).reports["on_event"](answer)
    assert shared.answer(waiting) == answer


def test_a_question_to_an_engine_that_is_gone_is_refused(
    shared: SharedEngine, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = shared.ask(QUESTION)
    engine_of(heard).reports["on_down"]("It has stopped.")
    with pytest.raises(Refused) as refusal:
        shared.answer(waiting)
    assert refusal.value.code == "engine_down"
    monkeypatch.setattr("generator.engine_link.shared_engine.ALTERNATIVES_SECONDS", 0.01)
    with pytest.raises(Refused, match="in time"):
        shared.answer(shared.ask(QUESTION))
    assert shared._questions == {}, "a question without an answer is forgotten"
    engine_of(heard).is_up = False
    with pytest.raises(Refused, match="is starting"):
        shared.ask(QUESTION)
