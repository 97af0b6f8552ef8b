"""Group commit: commits that wait together share a transaction, and one that fails costs only its own draft."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from generator.drafts import group_commit
from generator.drafts.group_commit import GroupCommit
from stories.errors import StorageFailed, StoreError, UnknownDraft
from stories.storage.records import Commit, NewDraft, NewStory
from stories.storage.store import Store
from stories.text.changes import ChangeSet
from stories.text.span_list import SpanList
from stories.text.update import USER, Update
from tests.generator.drafts.draft_room import call

P = ParamSpec("P")
R = TypeVar("R")
HEAD = {"model": "m"}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "stories.db")
    drafts = tuple(NewDraft(f"d{n}", "m", HEAD, "", SpanList.of(0, USER)) for n in range(8))
    store.create_story("me", NewStory("s", "Title", "continue", drafts))
    yield store
    store.close()


def first_letter(draft: str) -> Commit:
    update = Update("page", USER, ChangeSet.insert(0, 0, "x"))
    return Commit(draft, 0, (update,), HEAD, "x", SpanList.of(1, USER))


def commit_together(store: Store, commits: Sequence[Commit]) -> tuple[GroupCommit, list[BaseException | None]]:
    """Commit from as many threads while the store is busy with a first one. Returns what each thread met."""
    busy, release = threading.Event(), threading.Event()

    def run(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        if not release.is_set():
            busy.set()
            release.wait(10)
        return function(*args, **kwargs)

    with closing(GroupCommit(store, run)) as group, ThreadPoolExecutor(len(commits) + 1) as threads:
        first = threads.submit(group.commit, first_letter("d0"))
        assert busy.wait(10)
        others = [threads.submit(group.commit, commit) for commit in commits]
        while group._waiting.qsize() < len(commits):
            threading.Event().wait(0.001)
        release.set()
        first.result(10)
        return group, [future.exception(10) for future in others]


def test_commits_that_wait_together_are_one_transaction(store: Store) -> None:
    group, met = commit_together(store, [first_letter(f"d{n}") for n in range(1, 8)])
    assert met == [None] * 7
    assert (group.num_commits, group.num_drafts) == (2, 8)
    assert all(store.load(f"d{n}").text == "x" for n in range(8))


def test_a_commit_that_fails_costs_only_its_own_draft(store: Store) -> None:
    _, met = commit_together(store, [first_letter("d1"), first_letter("gone"), first_letter("d2")])
    assert met[0] is None
    assert isinstance(met[1], UnknownDraft)
    assert met[2] is None
    assert [store.load(f"d{n}").text for n in (1, 2)] == ["x", "x"]


def test_a_problem_with_the_disk_is_noticed_and_over_when_it_is_over(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group_commit, "PROBE_SECONDS", -1.0)
    with closing(GroupCommit(store, call)) as group:
        assert group.problem() is None

        def fail() -> None:
            raise StorageFailed("The disk is full.")

        with monkeypatch.context() as broken:
            broken.setattr(store, "check_writable", fail)
            assert group.problem() == "The disk is full."
        assert group.problem() is None


def test_a_closed_store_fails_the_commit(store: Store) -> None:
    store.close()
    with closing(GroupCommit(store, call)) as group, pytest.raises(StoreError):
        group.commit(first_letter("d1"))
