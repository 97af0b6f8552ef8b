"""Old stories are deleted; open or young ones are not."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from generator.library.retention import Retention
from stories.storage.records import NewDraft, NewStory
from stories.storage.store import Store
from stories.text.span_list import SpanList
from stories.text.update import USER
from tests.generator.drafts.draft_room import call

DAY = 24 * 3600
P = ParamSpec("P")
R = TypeVar("R")


class DraftsThatAreOpen:
    """Stands for `OpenDrafts`: it knows only which drafts are open."""

    def __init__(self, *drafts: str) -> None:
        self._open = set(drafts)

    def discard_unused(self, drafts: Sequence[str], delete: Callable[[], bool]) -> bool:
        return not self._open & set(drafts) and delete()


def store_with(path: Path, *names: str) -> Store:
    store = Store(path / "stories.db")
    for name in names:
        drafts = tuple(NewDraft(f"{name}{n}", "m", {"model": "m"}, "", SpanList.of(0, USER)) for n in range(2))
        store.create_story("me", NewStory(name, name, "continue", drafts))
    return store


def retention(store: Store, drafts: Any, days: int) -> Retention:
    return Retention(store, call, drafts, days, first_look=3600)


def titles(store: Store) -> set[str]:
    return {story.title for story in store.stories("me")}


def test_old_stories_are_deleted_unless_one_of_their_drafts_is_open(tmp_path: Path) -> None:
    with closing(store_with(tmp_path, "old", "opened")) as store:
        keeper = retention(store, DraftsThatAreOpen("opened1"), 30)
        try:
            assert keeper.delete_old(time.time() + 29 * DAY) == 0
            assert titles(store) == {"old", "opened"}
            assert keeper.delete_old(time.time() + 31 * DAY) == 1
            assert titles(store) == {"opened"}
        finally:
            keeper.close()


def test_without_days_nothing_is_ever_deleted(tmp_path: Path) -> None:
    with closing(store_with(tmp_path, "old")) as store:
        keeper = retention(store, DraftsThatAreOpen(), 0)
        keeper.close()
        assert titles(store) == {"old"}


class EditsMeanwhile(DraftsThatAreOpen):
    """The story is changed, and closed again, between the making of the list and its deletion."""

    def __init__(self, path: Path, now: float) -> None:
        super().__init__()
        self._path, self._now = path, now

    def discard_unused(self, drafts: Sequence[str], delete: Callable[[], bool]) -> bool:
        with closing(sqlite3.connect(self._path)) as connection:
            connection.execute("UPDATE story SET updated = ?", (self._now,))
            connection.commit()
        return delete()


def test_a_story_that_was_changed_a_moment_ago_stays(tmp_path: Path) -> None:
    later = time.time() + 31 * DAY
    with closing(store_with(tmp_path, "old")) as store:
        keeper = retention(store, EditsMeanwhile(tmp_path / "stories.db", later), 30)
        try:
            assert keeper.delete_old(later) == 0
            assert titles(store) == {"old"}
        finally:
            keeper.close()


def test_the_first_look_waits_until_pages_are_back(tmp_path: Path) -> None:
    with closing(store_with(tmp_path, "old")) as store:
        looked = threading.Event()

        def run(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
            looked.set()
            return function(*args, **kwargs)

        nothing_open: Any = DraftsThatAreOpen()
        with closing(Retention(store, run, nothing_open, 1, first_look=3600)):
            assert not looked.wait(0.2)
        with closing(Retention(store, run, nothing_open, 1, first_look=0)):
            assert looked.wait(10)
