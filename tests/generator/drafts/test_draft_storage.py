"""Draft storage over a real store: what is committed can be loaded, and nothing else is written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from generator.drafts.draft_storage import DraftStorage
from generator.drafts.group_commit import GroupCommit
from stories.draft.events import Edit, Rewind, Start
from stories.draft.reducer import reduce
from stories.draft.state import DraftState, restore
from stories.storage.records import NewDraft, NewStory
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
