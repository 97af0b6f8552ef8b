"""Open drafts: how many are kept, who may open them, and what happens when the engine restarts."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from generator.drafts.open_drafts import OpenDrafts
from generator.wire.messages import Chunk, ModelSpec, Set, Status
from stories import limits
from stories.draft.state import DraftSettings, new_head
from stories.errors import Refused, UnknownDraft
from stories.storage.records import NewDraft, NewStory
from stories.storage.store import Store
from stories.text.span_list import SpanList
from tests.generator.drafts.draft_room import RecordingEngine, call, menu_with_fakes

READY = Status(ModelSpec("fake", "paced-30"), "ready", 1.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Three drafts: a, b and c."""
    store = Store(tmp_path / "stories.db")
    head = new_head(DraftSettings("Fake", {}, None), SpanList.of(0, "user"))
    drafts = tuple(NewDraft(name, "Fake", head, "", SpanList.of(0, "user")) for name in "abc")
    store.create_story("me", NewStory("s", "Title", "continue", drafts))
    yield store
    store.close()


@pytest.fixture
def engines() -> list[RecordingEngine]:
    return []


@pytest.fixture
def drafts(tmp_path: Path, store: Store, engines: list[RecordingEngine]) -> Iterator[OpenDrafts]:
    def make_engine(**reports: Any) -> RecordingEngine:
        engines.append(RecordingEngine(**reports))
        return engines[-1]

    drafts = OpenDrafts(store, menu_with_fakes(tmp_path), call, Mock(), make_engine, Mock(), lambda: 0.0, call)
    yield drafts
    drafts.close()


def test_too_many_open_drafts_are_refused_until_one_is_gone(
    drafts: OpenDrafts, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "OPEN_DRAFTS", 2)
    drafts.live_draft("me", "a")
    drafts.live_draft("me", "b")
    with pytest.raises(Refused, match="Too many drafts"):
        drafts.live_draft("me", "c")
    drafts.live_draft("me", "a")
    drafts.discard(["a"], lambda: store.delete_draft("me", "a"))
    drafts.live_draft("me", "c")


def test_another_owners_draft_is_unknown(drafts: OpenDrafts) -> None:
    before = threading.active_count()
    with pytest.raises(UnknownDraft):
        drafts.live_draft("another", "a")
    assert threading.active_count() == before, "no thread is started for it"
    drafts.live_draft("me", "a")
    with pytest.raises(UnknownDraft):
        drafts.live_draft("another", "a")
    with pytest.raises(UnknownDraft):
        drafts.live_draft("me", "z")


def test_deleting_a_draft_that_is_being_stored_does_not_block_other_drafts(
    drafts: OpenDrafts, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pause() -> None:
        other = threading.Thread(target=drafts.live_draft, args=("me", "b"), daemon=True)
        other.start()
        other.join(10)
        assert not other.is_alive(), "another draft could not be opened meanwhile"

    monkeypatch.setattr(drafts.live_draft("me", "a"), "pause", pause)
    drafts.discard(["a"], lambda: store.delete_draft("me", "a"))
    with pytest.raises(UnknownDraft):
        drafts.live_draft("me", "a")


def test_only_unused_drafts_are_discarded(drafts: OpenDrafts) -> None:
    drafts.live_draft("me", "a")
    assert not drafts.discard_unused(["a", "b"], lambda: True)
    assert drafts.discard_unused(["b", "c"], lambda: True)


def test_the_engines_text_reaches_its_draft_and_a_restarted_engine_is_told_again(
    drafts: OpenDrafts, engines: list[RecordingEngine]
) -> None:
    (engine,) = engines
    draft = drafts.live_draft("me", "a")
    draft.open("page", None, lambda: None)
    draft.start(None)
    engine.reports["on_event"](READY)
    engine.reports["on_event"](Chunk("a", draft.view.state.epoch, "Once", ((1, 4, -1.0),), "t"))
    engine.reports["on_event"](Chunk("z", 1, "of no open draft", ((1, 16, -1.0),), "t"))
    assert draft.open("page", None, lambda: None)["text"] == "Once"
    assert drafts.figures()["engine_tokens"] == 2
    engine.commands.clear()
    engine.reports["on_up"]()
    draft.open("page", None, lambda: None)
    (again,) = [command for command in engine.commands if isinstance(command, Set)]
    assert again.sequence == "a"
    assert [piece.text for piece in again.pieces] == ["Once"]


def test_figures_count_drafts_and_commits(drafts: OpenDrafts) -> None:
    draft = drafts.live_draft("me", "a")
    draft.start(None)
    figures = drafts.figures()
    assert figures["engine_up"]
    assert (figures["drafts_open"], figures["requests_running"]) == (1, 1)
    assert figures["db_commits"] == figures["db_batch_ops"] == 1
