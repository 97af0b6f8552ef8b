"""How many drafts the desk keeps open."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

import pytest

from generator import desk as desk_module
from generator.desk import Desk
from generator.errors import SessionError
from generator.menu import Menu
from generator.model_hub import Hub
from stories.draft import Settings, new_head
from stories.spans import Spans
from stories.store import NewDraft, NewStory, Store


def test_too_many_open_drafts_are_refused_until_one_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "MAX_OPEN", 2)
    (tmp_path / "config.js").write_text("var ModelConfig = {continuationModels: {}, promptModels: {}};")
    store = Store(tmp_path / "stories.db")
    head = new_head(Settings("Fake", {}, None), Spans.of(0, "user"))
    drafts = tuple(NewDraft(name, "Fake", head, "", Spans.of(0, "user")) for name in "abc")
    store.create_story("me", NewStory("s", "Title", "continue", drafts))
    menu = Menu(tmp_path, tmp_path / "config.js", Hub(), ("paced-30",))
    desk = Desk(store, menu, lambda call, *given: call(*given), Mock(), Mock(), Mock(), Mock())
    desk.session("me", "a")
    desk.session("me", "b")
    with pytest.raises(SessionError, match="too many drafts"):
        desk.session("me", "c")
    with pytest.raises(SessionError, match="no such draft"):
        desk.session("somebody else", "a")
    desk.session("me", "a")
    desk.discard(["a"], lambda: store.delete_draft("me", "a"))
    desk.session("me", "c")
    desk.close()
    store.close()
