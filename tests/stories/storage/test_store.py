"""Store: every stored revision and listing is read back, and every refused call changes nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stories.errors import StorageFailed, StoreError, TooLong, UnknownDraft, UnknownRevision, UnknownStory
from stories.storage import draft_log
from stories.storage.records import Commit, NewDraft, NewStory
from stories.storage.store import Store
from stories.text.changes import ChangeSet
from stories.text.span_list import SpanList
from stories.text.update import USER, Token, Update
from stories.text.utf16 import to_units
from tests.stories.strategies import updates_to

HEAD = {"model": "GPT-2 small", "run": None}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "stories.db")
    yield opened
    opened.close()


def new_draft(name: str, text: str = "", **fields: Any) -> NewDraft:
    return NewDraft(name, "GPT-2 small", HEAD, text, SpanList.of(len(text), USER), **fields)


def typed(text: str, insert: str, at: int | None = None) -> Update:
    return Update("page", USER, ChangeSet.insert(len(text), len(text) if at is None else at, insert))


class Writer:
    """Commits updates to one draft and remembers each of its revisions."""

    def __init__(self, store: Store, draft: str, text: str) -> None:
        self.store, self.draft = store, draft
        self.pages = [(text, SpanList.of(len(text), USER))]
        self.log: list[Update] = []

    def commit(self, *updates: Update, head: dict[str, Any] = HEAD, forks: tuple[NewDraft, ...] = ()) -> None:
        revision = len(self.log)
        self.apply(*updates)
        text, spans = self.pages[-1]
        self.store.commit([Commit(self.draft, revision, updates, head, text, spans, forks)])

    def apply(self, *updates: Update) -> None:
        for update in updates:
            text, spans = self.pages[-1]
            self.pages.append((update.changes.apply(text), spans.apply(update)))
            self.log.append(update)


@given(st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_revision_is_read_back_after_reopening(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("store") / "stories.db"
    start = to_units("a😀b")
    with closing(Store(path)) as store:  # closed even if Hypothesis gives up the example
        store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d", start),)))
        writer = Writer(store, "d", start)
        for _ in range(data.draw(st.integers(1, 4))):
            batch: list[Update] = []
            text = writer.pages[-1][0]
            for _ in range(data.draw(st.integers(0, 3))):
                batch.append(data.draw(updates_to(text)))
                text = batch[-1].changes.apply(text)
            writer.commit(*batch)
    store = Store(path)
    loaded = store.load("d")
    assert (loaded.revision, loaded.text, loaded.spans) == (len(writer.log), *writer.pages[-1])
    assert store.updates("d", 0, len(writer.log)) == writer.log
    for revision, page in enumerate(writer.pages):
        assert store.text_at("d", revision) == page
    rows = store.history("d")
    assert [row.revision for row in rows] == list(range(1, len(writer.log) + 1))
    lengths = [len(start) + sum(row.inserted - row.deleted for row in rows[:count]) for count in range(len(rows) + 1)]
    assert lengths == [len(text) for text, _ in writer.pages]
    store.close()


def test_snapshots_bound_the_updates_that_a_read_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_log, "SNAPSHOT_SPACING", 1000)
    path = tmp_path / "stories.db"
    store = Store(path)
    store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d"),)))
    writer = Writer(store, "d", "")
    for _ in range(125):
        batch, text = [], writer.pages[-1][0]
        for number in range(20):
            batch.append(Update("model", "model:m", ChangeSet.insert(len(text), len(text), "w "), (Token(7, 2, -1.0),)))
            text = batch[-1].changes.apply(text) if number < 19 else text
        writer.commit(*batch)
    assert store.load("d").text == "w " * 2500
    assert store.story("me", "s").words == 2400
    for revision in (0, 299, 300, 301, 999, 1700, 2500):
        assert store.text_at("d", revision) == writer.pages[revision]
    store._connection.execute("DELETE FROM log WHERE revision <= 2400")
    assert store.load("d").text == "w " * 2500  # only the newest snapshot needs no deleted row
    store.close()
    with sqlite3.connect(path) as connection:
        kept = [row[0] for row in connection.execute("SELECT revision FROM snapshot ORDER BY revision")]
    connection.close()
    assert kept == [0, 900, 1200, 1800, 2100, 2400]


def test_a_large_paste_causes_a_snapshot(store: Store) -> None:
    store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d"),)))
    writer = Writer(store, "d", "")
    writer.commit(typed("", "many words " * 10_000))
    assert store.story("me", "s").words == 20_000


def test_stories_are_listed_renamed_and_deleted(store: Store) -> None:
    first = store.create_story("me", NewStory("s1", "One", "continue", (new_draft("d1", "two words"),)))
    store.create_story("me", NewStory("s2", "Two", "prompt", (new_draft("d2"), new_draft("d3"))))
    store.create_story("you", NewStory("s3", "Three", "continue", ()))
    assert (first.title, first.mode, first.words) == ("One", "continue", 2)
    assert [story.id for story in store.stories("me")] == ["s2", "s1"]
    assert store.rename_story("me", "s1", "Uno 😀").title == "Uno 😀"
    Writer(store, "d1", "two words").commit(typed("two words", "!"), head={**HEAD, "model": "Other"})
    assert [story.id for story in store.stories("me")] == ["s1", "s2"]
    assert store.story("me", "s1").drafts[0].model == "Other"
    forked = store.add_draft("me", "s2", new_draft("d4", "x", parent="d2", forked_at=0))
    assert [(draft.id, draft.parent, draft.forked_at) for draft in forked.drafts] == [
        *(("d2", None, None), ("d3", None, None), ("d4", "d2", 0))
    ]
    store.delete_draft("me", "d2")
    assert [(draft.id, draft.parent, draft.forked_at) for draft in store.story("me", "s2").drafts] == [
        *(("d3", None, None), ("d4", None, None))
    ]
    store.delete_story("me", "s2")
    assert [story.id for story in store.stories("me")] == ["s1"]
    with pytest.raises(UnknownDraft):
        store.load("d3")


def test_a_deleted_story_leaves_no_rows(store: Store, tmp_path: Path) -> None:
    store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d"),)))
    Writer(store, "d", "").commit(typed("", "x"), forks=(new_draft("f", "old", parent="d", forked_at=0),))
    store.delete_story("me", "s")
    store.backup(tmp_path / "copy.db")
    connection = sqlite3.connect(tmp_path / "copy.db")
    for table in ("story", "draft", "log", "snapshot"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    connection.close()


def test_stories_of_other_owners_are_unknown(store: Store) -> None:
    store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d"),)))
    assert store.draft_owner("d") == "me"
    assert store.stories("you") == []
    for refused in (
        lambda: store.story("you", "s"),
        lambda: store.rename_story("you", "s", "Mine"),
        lambda: store.delete_story("you", "s"),
        lambda: store.add_draft("you", "s", new_draft("x")),
        lambda: store.story("me", "nowhere"),
    ):
        with pytest.raises(UnknownStory):
            refused()
    with pytest.raises(UnknownDraft):
        store.delete_draft("you", "d")
    with pytest.raises(UnknownDraft):
        store.draft_owner("nowhere")
    assert store.story("me", "s").title == "Title"


def test_a_commit_is_stored_as_a_whole_or_not_at_all(store: Store) -> None:
    store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d", "a"), new_draft("e", "a"))))
    update = typed("a", "b")
    good = Commit("d", 0, (update,), HEAD, "ab", SpanList.of(2, USER))
    for bad in (
        Commit("e", 1, (update,), HEAD, "ab", SpanList.of(2, USER)),
        Commit("e", 0, (update,), HEAD, "abc", SpanList.of(3, USER)),
        Commit("e", 0, (update,), HEAD, "ab", SpanList.of(3, USER)),
        Commit("e", 0, (), HEAD, "a", SpanList.of(1, USER), forks=(new_draft("d"),)),
        Commit("e", 0, (), HEAD, "a", SpanList.of(1, USER), forks=(new_draft("f", parent="nowhere"),)),
        Commit("e", 0, (), HEAD, "a", SpanList.of(1, USER), forks=(new_draft("f", "\ud83d"),)),
        Commit("nowhere", 0, (), HEAD, "", SpanList.of(0, USER)),
    ):
        with pytest.raises(StoreError):
            store.commit([good, bad])
        assert (store.load("d").revision, store.load("d").text) == (0, "a")
    store.commit([good, Commit("e", 0, (), {"model": "M", "run": {"limit": 5}}, "a", SpanList.of(1, USER))])
    assert store.load("d").text == "ab"
    assert store.load("e").head == {"model": "M", "run": {"limit": 5}}


@pytest.mark.parametrize(("start", "end"), [(-1, 0), (0, 1), (1, 0), (0, 2**70)])
def test_unknown_revisions_are_refused(store: Store, start: int, end: int) -> None:
    store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d"),)))
    with pytest.raises(UnknownRevision):
        store.updates("d", start, end)
    for revision in {start, end} - {0}:
        with pytest.raises(UnknownRevision):
            store.text_at("d", revision)


def test_a_full_disk_loses_no_stored_text(store: Store) -> None:
    store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d"),)))
    writer = Writer(store, "d", "")
    writer.commit(typed("", "kept"))
    connection = store._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    paste = typed("kept", "x" * 200_000)
    page = (paste.changes.apply("kept"), writer.pages[-1][1].apply(paste))
    with pytest.raises(StorageFailed, match="disk is full"):
        store.commit([Commit("d", 1, (paste,), HEAD, *page)])
    assert (store.load("d").revision, store.load("d").text) == (1, "kept")
    connection.execute("PRAGMA max_page_count = 1000000")
    writer.commit(paste)
    assert store.load("d").text == page[0]


def test_a_locked_file_is_reported_and_usable_afterwards(store: Store, tmp_path: Path) -> None:
    store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d"),)))
    store._connection.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(tmp_path / "stories.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writer = Writer(store, "d", "")
    with pytest.raises(StorageFailed, match="Another program"):
        store.rename_story("me", "s", "New")
    other.execute("ROLLBACK")
    other.close()
    writer.commit(typed("", "x"))
    assert store.load("d").text == "x"


def test_a_log_larger_than_allowed_is_not_read(store: Store) -> None:
    store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d"),)))
    writer = Writer(store, "d", "")
    for text in ("", "abc", "abcabc"):
        writer.commit(typed(text, "abc"))
    assert len(store.updates("d", 1, 3, 6)) == 2
    with pytest.raises(TooLong):
        store.updates("d", 1, 3, 5)


def test_one_commit_may_advance_a_draft_twice_and_its_new_fork(store: Store) -> None:
    store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d", "ab"),)))
    spans, fork = [SpanList.of(length, USER) for length in range(9)], new_draft("f", "ab", parent="d", forked_at=0)
    store.commit(
        [
            Commit("d", 0, (typed("ab", "c"),), {"model": "other"}, "abc", spans[3], (fork,)),
            Commit("d", 1, (typed("abc", "d"),), {"run": 1}, "abcd", spans[4], ()),
            Commit("f", 0, (typed("ab", "e"),), HEAD, "abe", spans[3], ()),
        ]
    )
    assert [(store.load(draft).revision, store.load(draft).text) for draft in "df"] == [(2, "abcd"), (1, "abe")]
    entry = next(draft for draft in store.story("me", "s").drafts if draft.id == "d")
    assert (entry.model, entry.head) == ("other", {"run": 1})


@pytest.mark.parametrize("word", ["\ud800", "a\0b"])
@pytest.mark.parametrize("where", ["client", "author", "tokenizer", "model"])
def test_names_that_cannot_be_read_back_are_not_stored(store: Store, word: str, where: str) -> None:
    store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d", "ab"),)))
    names = {"client": "page", "author": USER, "tokenizer": "", "model": "GPT-2 small"} | {where: word}
    changes = ChangeSet.insert(2, 2, "c")
    update = Update(names["client"], names["author"], changes, tokenizer=names["tokenizer"])
    with pytest.raises(StoreError):
        store.commit([Commit("d", 0, (update,), {"model": names["model"]}, "abc", SpanList.of(3, USER), ())])
    assert store.load("d").text == "ab"
    assert [story.id for story in store.stories("me")] == ["s"]


def test_a_very_long_update_is_read_back(store: Store) -> None:
    store.create_story("me", NewStory("s", "Title", "continue", (new_draft("d"), new_draft("e"))))
    text = "\u4e00" * 100_000
    store.commit(
        [
            Commit("d", 0, (typed("", text),), HEAD, text, SpanList.of(len(text), USER), ()),
            Commit("e", 0, (typed("", "x"),), HEAD, "x", SpanList.of(1, USER), ()),
        ]
    )
    assert store.updates("d", 0, 1) == [typed("", text)]
    assert store.load("e").text == "x"
