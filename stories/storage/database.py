"""The database file: opening it soundly, bringing it to the present schema, transactions, copies.

Owns SQLite's settings, the check at the start and the migrations. Knows nothing of what the tables mean.
One thread at a time may use a connection; who does is the caller's business.
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
# FULL: what was committed survives a power cut, not only a crash of the program.
_DURABILITY = ("journal_mode = WAL", "synchronous = FULL")
SIDE_FILES = ("-wal", "-shm")
PRIVATE = 0o600  # for who runs the server, and nobody else of the machine

# SQLite's own words, since Python 3.10 does not pass on its error codes.
_SENTENCES = (
    ("disk is full", StorageFailed, "The disk is full; free some space, then it goes on."),
    ("readonly", StorageFailed, "The data folder is read-only; make it writable."),
    ("locked", StorageFailed, "Another program is using the stories; close it."),
    ("unable to open", StorageFailed, "The file of the stories cannot be opened; is its folder there and writable?"),
    ("constraint failed", StoreError, "That contradicts what is stored already."),
    ("malformed", Damaged, "The file of the stories is damaged; restart to have it checked."),
    ("not a database", Damaged, "The file of the stories is not a database."),
)


def migrations() -> list[str]:
    """The scripts that lead from each schema version to the next, the first from nothing to 1."""
    folder = Path(__file__).parent / "migrations"
    return [script.read_text(encoding="utf-8") for script in sorted(folder.glob("*.sql"))]


def open_database(path: Path, scripts: Sequence[str]) -> sqlite3.Connection:
    """Open or create the file at `path` and bring it to the schema that `scripts` lead to.

    Raises SchemaTooNew and leaves the file alone; Damaged after moving it aside, so that the next start
    begins afresh; StorageFailed where the folder or disk does not play along.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch(mode=PRIVATE)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StorageFailed(f"The stories cannot be kept in {path}: {error}.") from error
    try:
        _prepare(connection, path, scripts)
    except Damaged as error:
        connection.close()
        raise Damaged(_set_aside(path)) from error
    except BaseException:
        connection.close()
        raise
    return connection


@contextlib.contextmanager
def reading() -> Iterator[None]:
    """Turns SQLite's errors into StoreErrors."""
    try:
        yield
    except sqlite3.Error as error:
        raise _store_error(error) from error
    except UnicodeError as error:
        raise StoreError("Half a character cannot be stored.") from error


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is written inside becomes durable together, or not at all if anything is raised."""
    with reading():
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite itself ends it when the disk is full
                connection.execute("ROLLBACK")
            raise


def copy_to(connection: sqlite3.Connection, path: Path) -> None:
    """Write a compact copy of the whole database, as it is now, to the new file `path`."""
    try:
        path.touch(mode=PRIVATE, exist_ok=False)  # SQLite fills an empty file, and leaves its mode
    except FileExistsError as error:
        raise StoreError(f"{path} is there already; a copy overwrites nothing.") from error
    with reading():
        connection.execute("VACUUM INTO ?", (str(path),))


def _prepare(connection: sqlite3.Connection, path: Path, scripts: Sequence[str]) -> None:
    with reading():
        for setting in _SETTINGS:
            connection.execute(f"PRAGMA {setting}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(scripts):
            raise SchemaTooNew(f"{path} was written by a newer version of StoryGen; please update the program.")
        problems = [row[0] for row in connection.execute("PRAGMA quick_check(1)")]
        if problems != ["ok"]:
            raise Damaged(problems[0])
        for setting in _DURABILITY:
            connection.execute(f"PRAGMA {setting}")
        for number in range(version, len(scripts)):
            if number:
                copy_to(connection, _unused(path.with_name(f"{path.name}.v{number}.bak")))
            _migrate(connection, scripts[number], number + 1)


def _migrate(connection: sqlite3.Connection, script: str, version: int) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def move_aside(path: Path, why: str) -> Path | None:
    """Rename the file and what belongs to it; returns its new path, None where there is none. Raises OSError."""
    aside = _unused(path.with_name(f"{path.name}.{why}"))
    for suffix in ("", *SIDE_FILES):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside if aside.exists() else None


def keep_copy(path: Path, why: str) -> Path | None:
    """Like `move_aside`, but the file itself stays where it is, alone: it may be replaced at one stroke."""
    if not path.exists():
        return None
    aside = _unused(path.with_name(f"{path.name}.{why}"))
    aside.touch(mode=PRIVATE)
    shutil.copyfile(path, aside)
    for suffix in SIDE_FILES:
        if (part := path.with_name(path.name + suffix)).exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _set_aside(path: Path) -> str:
    try:
        aside = move_aside(path, f"damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    except OSError as error:
        return f"{path} is damaged and could not be moved aside ({error}); move it away, then start again."
    return f"{path} is damaged. It was moved to {aside}; start again to begin with no stories, or put a copy back."


def _unused(path: Path) -> Path:
    """`path`, or with a number behind it if that name is taken."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}-{number}")
    return free


def _store_error(error: sqlite3.Error) -> StoreError:
    """The StoreError that stands for SQLite's `error`."""
    for words, kind, sentence in _SENTENCES:
        if words in str(error):
            return kind(sentence)
    return StorageFailed(f"The stories cannot be read or written ({error}).")
