"""Opening the file: migrations with a copy first, newer schemas, damage, folders that do not play along."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from stories.errors import Damaged, SchemaTooNew, StorageFailed, StoreError
from stories.storage.database import migrations, open_database
from stories.storage.records import NewDraft, NewStory
from stories.storage.store import Store
from stories.text.span_list import SpanList
from stories.text.update import USER

NEXT = "ALTER TABLE story ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue';"
BROKEN = "CREATE TABLE fine (a); ALTER TABLE nowhere ADD COLUMN b;"


def version_1(path: Path) -> None:
    """A file as the first schema version leaves it, with a story in it."""
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


def test_settings_are_the_durable_ones(tmp_path: Path) -> None:
    connection = open_database(tmp_path / "new" / "folder" / "stories.db", migrations())
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0, "busy_timeout": 2000}
    for setting, value in expected.items():
        assert connection.execute(f"PRAGMA {setting}").fetchone() == (value,)
    connection.close()


def test_a_new_file_needs_no_copy(tmp_path: Path) -> None:
    Store(tmp_path / "stories.db").close()
    assert version_of(tmp_path / "stories.db") == len(migrations())
    assert list(tmp_path.glob("*.bak*")) == []


def test_migration_keeps_everything_and_a_copy_of_the_old(tmp_path: Path) -> None:
    path = tmp_path / "stories.db"
    version_1(path)
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
    version_1(path)
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
    version_1(path)
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


def test_damage_found_while_running_is_said(tmp_path: Path) -> None:
    path = tmp_path / "stories.db"
    version_1(path)
    store = Store(path)
    store._connection.execute("UPDATE snapshot SET spans = x'00'")
    with pytest.raises(Damaged):
        store.load("d")
    store.close()


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder", encoding="utf-8")
    with pytest.raises(StorageFailed, match="cannot be kept"):
        Store(tmp_path / "data" / "stories.db")


def test_a_copy_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "stories.db"
    version_1(path)
    store = Store(path)
    store.backup(tmp_path / "copy.db")
    with pytest.raises(StoreError, match="exists already"):
        store.backup(tmp_path / "copy.db")
    store.close()
    copy = Store(tmp_path / "copy.db")
    assert copy.load("d").text == "Once upon a time"
    copy.close()
