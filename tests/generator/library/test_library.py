"""The library over a real store: creating, forking, exporting and importing, and what an owner may see."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from generator.drafts.open_drafts import OpenDrafts
from generator.library.library import Library
from stories.errors import Refused
from stories.limits import PROMPT_UNITS, STORY_DRAFTS, TITLE_CHARACTERS
from stories.storage.store import Store
from stories.text.changes import ChangeSet
from stories.text.utf16 import to_units
from tests.generator.drafts.draft_room import RecordingEngine, call, menu_with_fakes


class Shelf:
    """A library with its open drafts."""

    def __init__(self, path: Path, store: Store) -> None:
        menu = menu_with_fakes(path)
        self.drafts = OpenDrafts(store, menu, call, Mock(), RecordingEngine, Mock(), lambda: 0.0, call)
        self.library = Library(store, menu, call, self.drafts)

    def create(self, owner: str = "me", **request: Any) -> dict[str, Any]:
        return self.library.create_story(owner, {"mode": "continue", "prompt": "Once", "model": "Fake", **request})

    def type(self, draft: str, text: str, owner: str = "me") -> None:
        live = self.drafts.live_draft(owner, draft)
        opened = live.open("page", None, lambda: None)
        change = ChangeSet.insert(len(opened["text"]), 0, to_units(text))
        live.edit("page", "a" * 32, opened["revision"], [(change, ())])

    def text(self, draft: str, owner: str = "me") -> str:
        text: str = self.drafts.live_draft(owner, draft).open("page", None, lambda: None)["text"]
        return text


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with closing(Store(tmp_path / "stories.db")) as store:
        shelf = Shelf(tmp_path, store)
        yield shelf
        shelf.drafts.close()


def test_a_story_begins_with_the_prompt_or_has_it_as_its_premise(shelf: Shelf) -> None:
    story = shelf.create(prompt="Once upon a time 😀\nthere was", drafts=2)
    assert (story["title"], story["words"], len(story["drafts"])) == ("Once upon a time 😀", 7, 2)
    assert shelf.text(story["drafts"][1]["id"]) == "Once upon a time \ud83d\ude00\nthere was"
    answer = shelf.create(mode="prompt", prompt="A dragon")
    opened = shelf.drafts.live_draft("me", answer["drafts"][0]["id"]).open("page", None, lambda: None)
    assert (opened["text"], opened["settings"]["premise"]) == ("", "A dragon")


def test_words_and_state_of_an_open_draft_are_those_of_the_page(shelf: Shelf) -> None:
    story = shelf.create(prompt="one two")
    draft = story["drafts"][0]["id"]
    shelf.type(draft, "three four ")
    shelf.drafts.live_draft("me", draft).start(None)
    (shown,) = shelf.library.stories("me")["stories"]
    assert (shown["words"], shown["drafts"][0]["state"]) == (4, "loading")


def test_a_fork_is_the_parents_text_at_a_revision_or_the_beginning(shelf: Shelf) -> None:
    story = shelf.create()
    draft = story["drafts"][0]["id"]
    shelf.type(draft, "A")
    shelf.type(draft, "B")
    made = [shelf.library.create_draft("me", story["id"], {"parent": draft, "revision": n}) for n in (0, 1, 2)]
    assert [shelf.text(fork["id"]) for fork in made] == ["Once", "AOnce", "BAOnce"]
    assert [(fork["parent"], fork["forked_at"]) for fork in made] == [(draft, n) for n in (0, 1, 2)]
    assert shelf.text(shelf.library.create_draft("me", story["id"], {"parent": draft})["id"]) == "BAOnce"
    assert shelf.text(shelf.library.create_draft("me", story["id"], {})["id"]) == "Once"


def test_an_exported_story_comes_back_as_it_was(shelf: Shelf) -> None:
    draft = shelf.create(title="My tale", sampling={"top_k": 3}, drafts=2)["drafts"][0]["id"]
    shelf.type(draft, "😀 ")
    data, mimetype, name = shelf.library.export("me", draft, "json")
    assert (mimetype, name) == ("application/json", "My tale.json")
    again = shelf.library.import_story("me", data, "whatever.json")
    assert (again["title"], len(again["drafts"])) == ("My tale", 2)
    copy = again["drafts"][0]["id"]
    assert shelf.text(copy) == shelf.text(draft)
    settings = [shelf.drafts.live_draft("me", one).view.state.settings for one in (draft, copy)]
    assert settings[0] == settings[1]
    assert shelf.library.export("me", draft, "txt")[0] == "😀 Once".encode()


def test_a_model_that_the_menu_does_not_have_is_replaced_at_import(shelf: Shelf) -> None:
    draft = shelf.create()["drafts"][0]["id"]
    data = shelf.library.export("me", draft, "json")[0].replace(b'"Fake"', b'"Gone"')
    assert shelf.library.import_story("me", data, None)["drafts"][0]["model"] == "Fake"


def test_an_import_with_an_unknown_sampling_parameter_is_refused(shelf: Shelf) -> None:
    draft = shelf.create()["drafts"][0]["id"]
    data = shelf.library.export("me", draft, "json")[0].replace(b'"top_k"', b'"unheard_of"')
    with pytest.raises(Refused, match="unheard_of") as refusal:
        shelf.library.import_story("me", data, None)
    assert refusal.value.code == "invalid"


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"model": "Another"}, "unknown_model"),
        ({"prompt": "x" * (PROMPT_UNITS + 1)}, "too_large"),
        ({"drafts": STORY_DRAFTS + 1}, "invalid"),
        ({"models": []}, "invalid"),
        ({"sampling": {"top_k": -1}}, "invalid"),
    ],
)
def test_a_story_that_cannot_be_is_refused_and_not_made(shelf: Shelf, request_: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as refusal:
        shelf.create(**request_)
    assert refusal.value.code == code
    assert shelf.library.stories("me") == {"stories": []}


def test_another_owner_sees_changes_and_deletes_nothing(shelf: Shelf) -> None:
    story = shelf.create()
    draft = story["drafts"][0]["id"]
    library = shelf.library
    attempts: list[Callable[[], object]] = [
        lambda: library.story("another", story["id"]),
        lambda: library.rename_story("another", story["id"], "Mine"),
        lambda: library.delete_story("another", story["id"]),
        lambda: library.create_draft("another", story["id"], {}),
        lambda: library.history("another", draft),
        lambda: library.export("another", draft, "txt"),
        lambda: library.delete_draft("another", draft),
    ]
    for attempt in attempts:
        with pytest.raises(Refused) as refusal:
            attempt()
        assert refusal.value.code in ("unknown_story", "unknown_draft")
    assert library.stories("another") == {"stories": []}
    assert library.story("me", story["id"])["title"] == "Once"


def test_a_deleted_draft_or_story_is_gone(shelf: Shelf) -> None:
    story = shelf.create(drafts=2)
    first, second = (draft["id"] for draft in story["drafts"])
    shelf.text(first)
    shelf.library.delete_draft("me", first)
    with pytest.raises(Refused, match="no such draft"):
        shelf.text(first)
    assert [draft["id"] for draft in shelf.library.story("me", story["id"])["drafts"]] == [second]
    shelf.library.delete_story("me", story["id"])
    assert shelf.library.stories("me") == {"stories": []}


def test_a_long_title_is_cut_and_history_covers_the_text(shelf: Shelf) -> None:
    story = shelf.create(title="x" * 500)
    assert len(story["title"]) == TITLE_CHARACTERS
    draft = story["drafts"][0]["id"]
    shelf.type(draft, "new ")
    history = shelf.library.history("me", draft)
    assert history["revision"] == 1
    assert [length for length, _ in history["written"]] == [4, 4]
    assert history["written"][1][1] is None, "the beginning has no time"
    with pytest.raises(Refused, match="txt, md, json"):
        shelf.library.export("me", draft, "exe")
