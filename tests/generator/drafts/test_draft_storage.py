"""Draft storage: what is committed can be loaded, and recent updates are the end of the log, in memory or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.drafts.draft_storage import DraftStorage
from generator.drafts.group_commit import GroupCommit
from stories import limits
from stories.draft.events import Edit, Rewind, Start
from stories.draft.reducer import reduce
from stories.draft.state import DraftState, restore
from stories.errors import Behind, TooLong
from stories.storage.records import Commit, NewDraft, NewStory
from stories.storage.store import Store
from stories.text.changes import ChangeSet
from stories.text.update import USER, Update
from tests.generator.drafts.draft_room import call
from tests.stories.writers import new_state


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "stories.db")
    state = new_state("Once")
    draft = NewDraft("draft", "Fake", state.head(), state.text, state.spans)
    store.create_story("me", NewStory("s", "Title", "continue", (draft,)))
    yield store
    store.close()


@pytest.fixture
def group(store: Store) -> Iterator[GroupCommit]:
    group = GroupCommit(store, call)
    yield group
    group.close()


def loaded(store: Store) -> DraftState:
    stored = store.load("draft")
    return restore("draft", stored.revision, stored.text, stored.spans, stored.head)


def typed(state: DraftState, text: str) -> tuple[DraftState, tuple[Update, ...]]:
    update = Update("page", USER, ChangeSet.insert(len(state.text), 0, text))
    result = reduce(state, Edit("c", "page", state.revision, (update,), (), 0.0))
    return result.state, result.updates


def test_a_committed_state_is_what_is_loaded_again(store: Store, group: GroupCommit) -> None:
    before = loaded(store)
    storage = DraftStorage(before, group)
    after, updates = typed(before, "X")
    storage.applied(updates)
    storage.commit(before, after, updates, ())
    assert loaded(store).text == "XOnce"
    assert storage.since(0, after) == updates
    assert group.num_commits == 1
    storage.commit(after, after, (), ())
    assert group.num_commits == 1, "nothing durable has changed"
    started = reduce(after, Start(None, 1, 0.0)).state
    storage.commit(after, started, (), ())
    assert loaded(store).run == started.run, "a run is durable without an update"


def test_the_old_text_of_a_rewind_becomes_a_sibling(store: Store, group: GroupCommit) -> None:
    before = loaded(store)
    storage = DraftStorage(before, group)
    result = reduce(before, Rewind(2, (), "kept", False, 1, 0.0))
    storage.commit(before, result.state, result.updates, result.forks)
    assert store.load("draft").text == "On"
    kept = store.load("kept")
    assert (kept.text, kept.parent, kept.forked_at) == ("Once", "draft", 0)


def test_updates_that_were_not_stored_are_forgotten(store: Store, group: GroupCommit) -> None:
    before = loaded(store)
    storage = DraftStorage(before, group)
    storage.applied(typed(before, "X")[1])
    failed = replace(before, outcome="failed")
    storage.revert(failed)
    assert storage.since(0, failed) == ()
    storage.commit(failed, failed, (), ())
    assert group.num_commits == 0, "the disk is left alone until something changes"


class WholeLog:
    """A log in which update number n inserts `sizes[n]` letters. It stands for the group commit."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.log: list[Update] = []
        length = 0
        for size in sizes:
            self.log.append(Update("page", USER, ChangeSet.insert(length, 0, "x" * size)))
            length += size
        self.num_reads = 0

    def updates(self, draft: str, start: int, end: int, max_units: int) -> list[Update]:
        self.num_reads += 1
        wanted = self.log[start:end]
        if sum(update.changes.inserted for update in wanted) > max_units:
            raise TooLong("The log is too long.")
        return wanted

    def commit(self, commit: Commit) -> None:
        """It is in the log already."""


def storage_over(log: Any) -> DraftStorage:
    return DraftStorage(new_state(), log)


@given(st.lists(st.integers(1, 30), max_size=60), st.lists(st.integers(1, 9), max_size=20), st.data())
def test_the_end_of_the_log_is_the_same_wherever_it_is_kept(
    sizes: list[int], batches: list[int], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "RECENT_UPDATES", 12)
        patch.setattr(limits, "RECENT_UNITS", 100)
        patch.setattr(limits, "BEHIND_UPDATES", 40)
        patch.setattr(limits, "BEHIND_UNITS", 300)
        log = WholeLog(sizes)
        storage, head = storage_over(log), 0
        for batch in batches:
            updates = log.log[head : head + batch]
            storage.applied(updates)
            head = min(head + batch, len(sizes))
            state = replace(new_state(), revision=head)
            storage.commit(state, state, updates, ())
            assert len(storage._recent) <= 12
            assert sum(update.changes.inserted for update in storage._recent) <= 100
            revision = data.draw(st.integers(0, head))
            is_near = len(storage._recent) >= head - revision or sum(sizes[revision:head]) <= 300
            if is_near and head - revision <= 40:
                assert storage.since(revision, state) == tuple(log.log[revision:head])
            else:
                with pytest.raises(Behind):
                    storage.since(revision, state)


def test_recent_updates_need_no_store() -> None:
    log = WholeLog([1] * 50)
    storage = storage_over(log)
    storage.applied(log.log)
    assert storage.since(0, replace(new_state(), revision=50)) == tuple(log.log)
    assert log.num_reads == 0


def test_a_revision_beyond_the_head_is_refused() -> None:
    with pytest.raises(Behind):
        storage_over(WholeLog([1] * 50)).since(51, replace(new_state(), revision=50))
