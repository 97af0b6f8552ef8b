"""The data folder: in use by one server at a time, backed up while that runs, restored while none does.

Owns the names of the files in it, the lock and the two copies. Knows nothing of what the tables mean.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from stories.errors import Damaged, SchemaTooNew, StorageFailed, StoreError
from stories.storage.database import PRIVATE, SIDE_FILES, copy_to, keep_copy, migrations, reading

DATABASE = "stories.db"
KEY_FILE = "secret.key"
_LOCK = "in-use"
_LOCK_SECONDS = 1.0


class FolderLock:
    """The folder is this process's own until `close`, or until the process ends in whatever way."""

    def __init__(self, folder: Path) -> None:
        """Raises StorageFailed, where another process holds it. SQLite's locks are the same on every system, and the
        system takes them back from a process that was killed."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(folder / _LOCK, timeout=_LOCK_SECONDS, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StorageFailed(f"the folder cannot be used ({error})") from error
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            self._connection.close()
            if "locked" in str(error):
                raise StorageFailed("another StoryGen is using this folder; stop it first") from error
            raise StorageFailed(f"the folder cannot be used ({error})") from error

    def close(self) -> None:
        self._connection.close()


def backup(folder: Path, file: Path) -> None:
    """Write all stories of `folder`, as they are at this moment, to the new file `file`. A server may be running."""
    source = folder / DATABASE
    if not source.exists():
        raise StoreError(f"There are no stories in {folder}.")
    if file.exists():
        raise StoreError(f"{file} is there already; a backup overwrites nothing.")
    unfinished = file.with_name(file.name + ".unfinished")
    _remove(unfinished)
    with reading(), closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        copy_to(connection, unfinished)
    _check(unfinished)
    _flush(unfinished)
    unfinished.rename(file)


def restore(folder: Path, file: Path) -> Path | None:
    """Put the stories of the backup `file` in place of those of `folder`, which no server may be using.

    Returns where those are now, if there were any. Raises StoreError, and then nothing has changed. Whenever it is
    killed there are stories in `folder`: those of before, or those of the backup.
    """
    if not file.is_file():
        raise StoreError(f"There is no file {file}.")
    with closing(FolderLock(folder)):
        fresh = folder / f"{DATABASE}.restoring"
        _remove(fresh)  # of a restore that was killed
        try:
            fresh.touch(mode=PRIVATE)
            shutil.copyfile(file, fresh)
            _check(fresh)
            _flush(fresh)
            _fold_log(folder / DATABASE)
            aside = keep_copy(folder / DATABASE, f"replaced-{time.strftime('%Y%m%d-%H%M%S')}")
            if aside is not None:
                _flush(aside)
            fresh.replace(folder / DATABASE)
        finally:
            _remove(fresh)
    return aside


def _remove(path: Path) -> None:
    for suffix in ("", *SIDE_FILES):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _fold_log(path: Path) -> None:
    """Bring SQLite's write-ahead log into the file itself: beside another file it would do harm."""
    if path.exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:  # a damaged one is moved as it is
            connection.execute("PRAGMA journal_mode = DELETE")


def _check(path: Path) -> None:
    """Raises Damaged or SchemaTooNew where `path` is no sound file of stories that this version can read."""
    with reading(), closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(migrations()):
            raise SchemaTooNew(f"{path} was written by a newer version of StoryGen; please update the program.")
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        if not version or not {"story", "draft", "log", "snapshot"} <= tables:
            raise Damaged(f"{path} holds no stories.")
        if connection.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
            raise Damaged(f"{path} is damaged.")


def _flush(path: Path) -> None:
    """To the disk, before anything relies on it."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
