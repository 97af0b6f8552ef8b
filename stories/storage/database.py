"""Database: the SQLite file, how it is opened, checked, migrated and copied, and its transactions.

Owns SQLite's settings, the check on opening and the migrations. Knows nothing of the meaning of the tables. Only one
thread at a time may use a connection; the caller has to see to that.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from stories.errors import Damaged, SchemaTooNew, StorageFailed, StoreError

_SETTINGS = ("foreign_keys = ON", "trusted_schema = OFF", "busy_timeout = 2000")
# FULL: a committed transaction survives a power cut, not only a crash of the program.
_DURABILITY = ("journal_mode = WAL", "synchronous = FULL")
SIDE_FILES = ("-wal", "-shm")
PRIVATE_MODE = 0o600  # readable by the account of the server only

# Errors are told apart by SQLite's words, since Python 3.10 does not pass on SQLite's error codes.
_ERRORS = (
    ("disk is full", StorageFailed, "The disk is full. Free some space; saving then continues."),
    ("readonly", StorageFailed, "The data folder is read-only. Make it writable."),
    ("locked", StorageFailed, "Another program is using the stories. Close it."),
    ("unable to open", StorageFailed, "The stories' file cannot be opened. Its folder must exist and be writable."),
    ("constraint failed", StoreError, "This contradicts the stories that are stored already."),
    ("malformed", Damaged, "The stories' file is damaged. Restart the server to have it checked."),
    ("not a database", Damaged, "The stories' file is not a database."),
)


def migrations() -> list[str]:
    """Return the scripts that lead from each schema version to the next. The first one creates version 1."""
    folder = Path(__file__).parent / "migrations"
    return [script.read_text(encoding="utf-8") for script in sorted(folder.glob("*.sql"))]


def open_database(path: Path, scripts: Sequence[str]) -> sqlite3.Connection:
    """Open or create the file at `path` and migrate it by `scripts`.

    Raises SchemaTooNew for a file of a newer version, which is not changed. Raises Damaged after moving a damaged file
    aside, so that the next start creates a new one. Raises StorageFailed if the folder or the disk fails.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=PRIVATE_MODE)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StorageFailed(f"Stories cannot be kept in {path}: {error}.") from error
    try:
        _prepare(connection, path, scripts)
    except Damaged as error:
        connection.close()
        raise Damaged(_move_damaged_file(path)) from error
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def store_errors() -> Iterator[None]:
    """Turn SQLite's errors into StoreErrors."""
    try:
        yield
    except sqlite3.Error as error:
        raise _store_error(error) from error
    except UnicodeError as error:
        raise StoreError("Text with half a character cannot be stored.") from error


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run the body as one transaction: durable as a whole, or rolled back if anything is raised."""
    with store_errors():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # not if SQLite has ended it itself, as it does on a full disk
                connection.execute("ROLLBACK")
            raise


def copy_to(connection: sqlite3.Connection, path: Path) -> None:
    """Write a compact copy of the whole database to the new file `path`. Raises StoreError."""
    try:
        path.touch(mode=PRIVATE_MODE, exist_ok=False)  # SQLite fills an empty file and keeps its mode
    except FileExistsError as error:
        raise StoreError(f"{path} exists already. A copy never overwrites a file.") from error
    with store_errors():
        connection.execute("VACUUM INTO ?", (str(path),))


def _prepare(connection: sqlite3.Connection, path: Path, scripts: Sequence[str]) -> None:
    """Set SQLite's options, check the file, and migrate it after copying it."""
    with store_errors():
        for setting in _SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(scripts):
            raise SchemaTooNew(f"{path} was written by a newer version of StoryGen. Update the program.")
        problems = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
        if problems != ["ok"]:
            raise Damaged(problems[0])
        for setting in _DURABILITY:
            connection.execute(f"PRAGMA {setting}")
        for number in range(version, len(scripts)):
            if number:
                copy_to(connection, _free_path(path.with_name(f"{path.name}.v{number}.bak")))
            _migrate(connection, scripts[number], number + 1)


def _migrate(connection: sqlite3.Connection, script: str, version: int) -> None:
    """Run `script`, which leads to `version`, as one transaction."""
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def move_aside(path: Path, reason: str) -> Path | None:
    """Rename the file and its side files. Return its new path, or None if it does not exist. Raises OSError."""
    aside = _free_path(path.with_name(f"{path.name}.{reason}"))
    for suffix in ("", *SIDE_FILES):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside if aside.exists() else None


def keep_copy(path: Path, reason: str) -> Path | None:
    """Copy the file and move its side files to the copy. Return the copy's path, or None without a file.

    The file itself stays in place, so that it can be replaced atomically. Raises OSError.
    """
    if not path.exists():
        return None
    aside = _free_path(path.with_name(f"{path.name}.{reason}"))
    aside.touch(mode=PRIVATE_MODE)
    shutil.copyfile(path, aside)
    for suffix in SIDE_FILES:
        if (part := path.with_name(path.name + suffix)).exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _move_damaged_file(path: Path) -> str:
    """Move a damaged file aside. Return the sentence that says so."""
    try:
        aside = move_aside(path, f"damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    except OSError as error:
        return f"{path} is damaged and could not be moved aside ({error}). Move it away, then start again."
    return f"{path} is damaged. It was moved to {aside}. Start again to begin without stories, or restore a backup."


def _free_path(path: Path) -> Path:
    """`path`, or the first numbered variant of it that does not exist."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _store_error(error: sqlite3.Error) -> StoreError:
    """The StoreError for SQLite's `error`."""
    for words, kind, sentence in _ERRORS:
        if words in str(error):
            return kind(sentence)
    return StorageFailed(f"Stories cannot be read or written ({error}).")
