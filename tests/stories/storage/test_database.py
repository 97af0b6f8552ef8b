"""Database: opening with migrations, newer schemas and damage; transactions, errors, copies and moved files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from stories.errors import Damaged, SchemaTooNew, StorageFailed, StoreError
from stories.storage.database import (
    SIDE_FILES,
    keep_copy,
    migrations,
    move_aside,
    open_database,
    store_errors,
    transaction,
)
from stories.storage.records import NewDraft, NewStory
from stories.storage.store import Store
from stories.text.span_list import SpanList
from stories.text.update import USER

NEXT = "ALTER TABLE story ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue';"
BROKEN = "CREATE TABLE fine (a); ALTER TABLE nowhere ADD COLUMN b;"


def create_version_1(path: Path) -> None:
    """Create a file of the first schema version with one story."""
    store = Store(path, migrations()[:1])
    text = "Once upon a time"
    draft = NewDraft("d", "m", {"model": "m"}, text, SpanList.of(len(text), USER))
    store.create_story("me", NewStory("s", "Title", "continue", (draft,)))
    store.close()


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.close()
    return int(version)


def test_a_database_is_opened_with_durable_settings(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "new" / "folder" / "stories.db", migrations())
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0, "busy_timeout": 2000}
    for setting, value in expected.items():
        assert connection.execute(f"PRAGMA {setting}").fetchone() == (value,)
    connection.close()


def test_a_new_file_is_created_without_a_copy(tmp_path: Path) -> None:
    Store(tmp_path / "stories.db").close()
    assert version_of(tmp_path / "stories.db") == len(migrations())
    assert list(tmp_path.glob("*.bak*")) == []


def test_a_migration_keeps_the_stories_and_a_copy_of_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "stories.db"
    create_version_1(path)
    store = Store(path, [*migrations(), NEXT])
    assert store.load("d").text == "Once upon a time"
    store.close()
    assert version_of(path) == len(migrations()) + 1
    copies = sorted(tmp_path.glob("stories.db.v*.bak"))
    assert version_of(copies[0]) == 1
    old = Store(copies[0], migrations()[:1])
    assert old.load("d").text == "Once upon a time"
    old.close()
    Store(path, [*migrations(), NEXT]).close()
    assert sorted(tmp_path.glob("stories.db.v*.bak")) == copies


def test_a_migration_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stories.db"
    create_version_1(path)
    for _ in range(2):
        with pytest.raises(StorageFailed, match="nowhere"):
            Store(path, [*migrations()[:1], BROKEN])
    assert version_of(path) == 1
    assert len(list(tmp_path.glob("stories.db.v1.bak*"))) == 2
    store = Store(path, migrations()[:1])
    assert store.load("d").text == "Once upon a time"
    assert store._connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'fine'").fetchone() == (0,)
    store.close()


def test_a_newer_schema_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "stories.db"
    Store(path, [*migrations(), NEXT]).close()
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match="newer version"):
        Store(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["no database at all", "pages overwritten", "cut short"])
def test_a_damaged_file_is_moved_aside(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "stories.db"
    create_version_1(path)
    whole = path.read_bytes()
    bad = {
        "no database at all": b"Dear diary, " * 1000,
        "pages overwritten": whole[:4096] + b"\xa5" * (len(whole) - 4096),
        "cut short": whole[: len(whole) // 2 + 100],
    }[damage]
    path.write_bytes(bad)
    with pytest.raises(Damaged, match="was moved to") as raised:
        Store(path)
    (aside,) = tmp_path.glob("stories.db.damaged-*")
    assert str(aside) in str(raised.value)
    assert aside.read_bytes() == bad
    store = Store(path)
    assert store.stories("me") == []
    store.close()


def test_damage_found_while_reading_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "stories.db"
    create_version_1(path)
    store = Store(path)
    store._connection.execute("UPDATE snapshot SET spans = x'00'")
    with pytest.raises(Damaged):
        store.load("d")
    store.close()


def test_a_path_inside_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder", encoding="utf-8")
    with pytest.raises(StorageFailed, match="cannot be kept"):
        Store(tmp_path / "data" / "stories.db")


def test_a_copy_never_overwrites_a_file(tmp_path: Path) -> None:
    path = tmp_path / "stories.db"
    create_version_1(path)
    store = Store(path)
    store.backup(tmp_path / "copy.db")
    with pytest.raises(StoreError, match="exists already"):
        store.backup(tmp_path / "copy.db")
    store.close()
    copy = Store(tmp_path / "copy.db")
    assert copy.load("d").text == "Once upon a time"
    copy.close()


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    opened = open_database(tmp_path / "stories.db", ["CREATE TABLE one (a UNIQUE);"])
    yield opened
    opened.close()


def rows(connection: sqlite3.Connection) -> list[int]:
    return [a for (a,) in connection.execute("SELECT a FROM one ORDER BY a")]


def test_a_transaction_is_stored_as_a_whole_or_not_at_all(connection: sqlite3.Connection) -> None:
    def insert(*values: int, interrupt: bool = False) -> None:
        with transaction(connection):
            for value in values:
                connection.execute("INSERT INTO one VALUES (?)", (value,))
            if interrupt:
                raise KeyboardInterrupt

    insert(1, 2)
    with pytest.raises(KeyboardInterrupt):
        insert(3, interrupt=True)
    with pytest.raises(StoreError, match=r"\.$"):
        insert(4, 1)
    assert not connection.in_transaction
    assert rows(connection) == [1, 2]


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("database or disk is full", StorageFailed),
        ("attempt to write a readonly database", StorageFailed),
        ("database is locked", StorageFailed),
        ("unable to open database file", StorageFailed),
        ("UNIQUE constraint failed: one.a", StoreError),
        ("database disk image is malformed", Damaged),
        ("file is not a database", Damaged),
        ("disk I/O error", StorageFailed),
    ],
)
def test_each_error_of_sqlite_becomes_one_of_the_store_with_a_sentence(words: str, kind: type[StoreError]) -> None:
    with pytest.raises(StoreError) as raised, store_errors():
        raise sqlite3.OperationalError(words)
    assert type(raised.value) is kind
    assert raised.value.message[0].isupper()
    assert raised.value.message.endswith(".")


def test_an_error_of_sqlite_without_a_sentence_is_quoted() -> None:
    with pytest.raises(StorageFailed, match="disk I/O error"), store_errors():
        raise sqlite3.OperationalError("disk I/O error")


def test_text_with_half_a_character_is_refused(connection: sqlite3.Connection) -> None:
    with pytest.raises(StoreError, match="half a character"), transaction(connection):
        connection.execute("INSERT INTO one VALUES (?)", ("\ud83d",))
    assert rows(connection) == []


def file_with_side_files(folder: Path, content: str) -> Path:
    path = folder / "stories.db"
    for suffix in ("", *SIDE_FILES):
        path.with_name(path.name + suffix).write_text(content + suffix)
    return path


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_file_is_moved_aside_with_its_side_files_and_never_over_another(tmp_path: Path) -> None:
    path = file_with_side_files(tmp_path, "first")
    assert move_aside(path, "old") == tmp_path / "stories.db.old"
    file_with_side_files(tmp_path, "second")
    assert move_aside(path, "old") == tmp_path / "stories.db.old-2"
    assert move_aside(path, "old") is None
    assert contents(tmp_path) == {
        f"stories.db.old{number}{suffix}": content + suffix
        for number, content in (("", "first"), ("-2", "second"))
        for suffix in ("", *SIDE_FILES)
    }


def test_a_kept_copy_leaves_the_file_in_place_without_its_side_files(tmp_path: Path) -> None:
    path = file_with_side_files(tmp_path, "x")
    assert keep_copy(path, "old") == tmp_path / "stories.db.old"
    assert contents(tmp_path) == {
        "stories.db": "x",
        **{f"stories.db.old{suffix}": f"x{suffix}" for suffix in ("", *SIDE_FILES)},
    }
    assert keep_copy(tmp_path / "nowhere", "old") is None
