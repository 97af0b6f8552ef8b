"""Draft log: its rows, snapshots and folding, without the store around it, against a list of texts kept by hand."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stories.errors import Damaged, StoreError
from stories.storage import draft_log
from stories.storage.database import migrations, open_database
from stories.storage.draft_log import Unfolded
from stories.text.changes import ChangeSet
from stories.text.span_list import SpanList
from stories.text.update import MODEL_CLIENT, USER, Token, Update
from tests.stories.strategies import updates_to

KEY, OTHER_KEY = 1, 2


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = database_with_drafts(tmp_path)
    yield opened
    opened.close()


def database_with_drafts(folder: Path) -> sqlite3.Connection:
    """A database with one story and the drafts `KEY` and `OTHER_KEY`."""
    connection = open_database(folder / "stories.db", migrations())
    connection.execute("INSERT INTO story VALUES ('s', 'me', 'Title', 'continue', 0)")
    for key in (KEY, OTHER_KEY):
        connection.execute(
            "INSERT INTO draft (key, id, story, revision, model, head, words, unfolded)"
            " VALUES (?, ?, 's', 0, 'm', '{}', 0, 0)",
            (key, f"d{key}"),
        )
    return connection


def append(connection: sqlite3.Connection, revision: int, *updates: Update, key: int = KEY) -> int:
    rows, size = draft_log.to_rows(key, revision, updates)
    draft_log.append(connection, rows)
    return size


def typed(text: str, insert: str) -> Update:
    return Update("page", USER, ChangeSet.insert(len(text), len(text), insert))


@given(st.data())
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_revision_is_folded_from_any_snapshot(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    connection = database_with_drafts(tmp_path_factory.mktemp("log"))
    pages, log = [("abc", SpanList.of(3, USER))], list[Update]()
    draft_log.write_snapshot(connection, KEY, 0, *pages[0])
    for revision in range(data.draw(st.integers(0, 6))):
        text, spans = pages[-1]
        log.append(data.draw(updates_to(text)))
        append(connection, revision, log[-1])
        pages.append((log[-1].changes.apply(text), spans.apply(log[-1])))
        if data.draw(st.booleans()):
            draft_log.write_snapshot(connection, KEY, revision + 1, *pages[-1])
    for revision, page in enumerate(pages):
        assert draft_log.fold(connection, KEY, revision) == page
    start = data.draw(st.integers(0, len(log)))
    end = data.draw(st.integers(start, len(log)))
    assert draft_log.read_updates(connection, KEY, start, end) == log[start:end]
    inserted = sum(len(insert or "") for update in log[start:end] for _, insert in update.changes.sections)
    assert draft_log.inserted_units(connection, KEY, start, end) == inserted
    history = draft_log.read_history(connection, KEY, start, end)
    assert [(row.revision, row.changes) for row in history] == [
        (revision, update.changes) for revision, update in enumerate(log[start:end], start + 1)
    ]
    assert [(row.author, row.client) for row in history] == [(each.author, each.client) for each in log[start:end]]
    connection.close()


def test_short_and_long_rows_of_several_drafts_are_read_back(connection: sqlite3.Connection) -> None:
    long = typed("", "\u4e00" * 100_000)
    model = Update(MODEL_CLIENT, "model:m", ChangeSet.insert(0, 0, "ab"), (Token(7, 2, -0.5),), "v")
    undo = Update("page", USER, ChangeSet.insert(2, 0, "xy"), authors=((1, USER), (1, "model:m")))
    first, _ = draft_log.to_rows(KEY, 0, [long])
    second, _ = draft_log.to_rows(OTHER_KEY, 0, [model, undo])
    draft_log.append(connection, [*first, *second])
    assert draft_log.read_updates(connection, KEY, 0, 1) == [long]
    assert draft_log.read_updates(connection, OTHER_KEY, 0, 2) == [model, undo]


def test_the_size_of_rows_is_that_of_their_changes_and_tokens(connection: sqlite3.Connection) -> None:
    update = Update(MODEL_CLIENT, "model:m", ChangeSet.insert(0, 0, "ab"), (Token(7, 2, -0.5),), "v")
    size = append(connection, 0, update)
    (stored,) = connection.execute("SELECT length(changes) + length(tokens) FROM log").fetchone()
    assert size == stored == len(json.dumps([[0, "ab"]])) + len(json.dumps([[7, 2, -0.5]]))


@pytest.mark.parametrize(
    ("updates", "size", "length", "due"),
    [
        (299, 0, 0, False),
        (300, 0, 0, True),
        (0, 65_535, 0, False),
        (0, 65_536, 0, True),
        (300, 0, 120_399, True),
        (300, 0, 120_400, False),
        (301, 0, 120_400, True),
        (0, 65_536, 262_148, False),
        (0, 65_537, 262_148, True),
    ],
)
def test_a_snapshot_is_due_after_enough_updates_or_bytes_for_the_length(
    updates: int, size: int, length: int, due: bool
) -> None:
    assert Unfolded(updates, size).needs_snapshot(length) is due


def test_old_snapshots_are_thinned_out_to_two_in_each_block(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(draft_log, "SNAPSHOT_SPACING", 100)
    draft_log.write_snapshot(connection, OTHER_KEY, 30, "other", SpanList.of(5, USER))
    for revision in range(0, 321, 20):
        draft_log.write_snapshot(connection, KEY, revision, "text", SpanList.of(4, USER))
    kept = connection.execute("SELECT draft, revision FROM snapshot ORDER BY draft, revision").fetchall()
    assert kept == [*((KEY, revision) for revision in (0, 80, 100, 180, 200, 280, 300, 320)), (OTHER_KEY, 30)]


def test_a_gap_in_the_log_is_damage(connection: sqlite3.Connection) -> None:
    draft_log.write_snapshot(connection, KEY, 0, "", SpanList.of(0, USER))
    append(connection, 0, typed("", "a"), typed("a", "b"), typed("ab", "c"))
    connection.execute("DELETE FROM log WHERE revision = 2")
    with pytest.raises(Damaged, match="gap"):
        draft_log.read_updates(connection, KEY, 0, 3)
    with pytest.raises(Damaged, match="gap"):
        draft_log.fold(connection, KEY, 3)
    assert draft_log.fold(connection, KEY, 1)[0] == "a"


def test_a_draft_without_a_snapshot_is_damage(connection: sqlite3.Connection) -> None:
    draft_log.write_snapshot(connection, KEY, 5, "", SpanList.of(0, USER))
    with pytest.raises(Damaged, match="no snapshot"):
        draft_log.fold(connection, KEY, 4)
    with pytest.raises(Damaged, match="no snapshot"):
        draft_log.fold(connection, OTHER_KEY, 5)


@pytest.mark.parametrize("column", ["changes = '[-1]'", "changes = '{'", "tokens = '[5]'", "authors = '[[1]]'"])
def test_an_unreadable_row_is_damage(connection: sqlite3.Connection, column: str) -> None:
    draft_log.write_snapshot(connection, KEY, 0, "", SpanList.of(0, USER))
    append(connection, 0, typed("", "a"))
    connection.execute(f"UPDATE log SET {column}")
    with pytest.raises(Damaged, match=r"cannot be read .*\.$"):
        draft_log.read_updates(connection, KEY, 0, 1)
    if column.startswith("changes"):
        with pytest.raises(Damaged, match=r"cannot be read .*\.$"):
            draft_log.read_history(connection, KEY, 0, 1)


@pytest.mark.parametrize("column", ["spans = x'00'", "text = 'longer than the spans'"])
def test_an_unreadable_snapshot_is_damage(connection: sqlite3.Connection, column: str) -> None:
    draft_log.write_snapshot(connection, KEY, 0, "", SpanList.of(0, USER))
    append(connection, 0, typed("", "a"))
    connection.execute(f"UPDATE snapshot SET {column}")
    with pytest.raises(Damaged):
        draft_log.fold(connection, KEY, 1)


@pytest.mark.parametrize("name", ["client", "author", "tokenizer"])
def test_names_with_nul_are_refused(name: str) -> None:
    names = {"client": "page", "author": USER, "tokenizer": "v"} | {name: "a\0b"}
    update = Update(names["client"], names["author"], ChangeSet.insert(0, 0, "a"), tokenizer=names["tokenizer"])
    with pytest.raises(StoreError, match="NUL"):
        draft_log.to_rows(KEY, 0, [update])
