"""How many drafts the desk keeps open, and that whoever deletes one holds up nobody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest

from generator.drafts import open_drafts as desk_module
from generator.drafts.open_drafts import OpenDrafts
from generator.models.hub_check import HubCheck
from generator.models.menu import Menu
from stories.draft.state import DraftSettings, new_head
from stories.errors import Refused
from stories.storage.records import NewDraft, NewStory
from stories.storage.store import Store
from stories.text.span_list import SpanList


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
def desk(tmp_path: Path, store: Store) -> Iterator[OpenDrafts]:
    (tmp_path / "config.js").write_text("var ModelConfig = {continuationModels: {}, promptModels: {}};")
    menu = Menu(tmp_path, tmp_path / "config.js", HubCheck(), ("paced-30",))
    desk = OpenDrafts(store, menu, lambda call, *given: call(*given), Mock(), Mock(), Mock(), lambda: 0.0, Mock())
    yield desk
    desk.close()


def test_too_many_open_drafts_are_refused_until_one_is_gone(
    desk: OpenDrafts, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "MAX_OPEN", 2)
    desk.session("me", "a")
    desk.session("me", "b")
    with pytest.raises(Refused, match="too many drafts"):
        desk.session("me", "c")
    with pytest.raises(Refused, match="no such draft"):
        desk.session("somebody else", "a")
    desk.session("me", "a")
    desk.discard(["a"], lambda: store.delete_draft("me", "a"))
    desk.session("me", "c")


def test_who_deletes_a_draft_that_is_being_stored_holds_up_nobody(
    desk: OpenDrafts, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pause() -> None:
        other = threading.Thread(target=desk.session, args=("me", "b"), daemon=True)
        other.start()
        other.join(10)
        assert not other.is_alive(), "another draft could not be opened meanwhile"

    monkeypatch.setattr(desk.session("me", "a"), "pause", pause)
    desk.discard(["a"], lambda: store.delete_draft("me", "a"))
    with pytest.raises(Refused, match="no such draft"):
        desk.session("me", "a")
