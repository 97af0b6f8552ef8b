"""Data folder: its files, its lock, its backup and its restore.

One server at a time uses a folder. A backup may be made while the server runs, a restore only while none does. Owns
the names of the files. Knows nothing of the meaning of the tables.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

from stories.errors import Damaged, SchemaTooNew, StorageFailed, StoreError
from stories.storage.database import PRIVATE_MODE, SIDE_FILES, copy_to, keep_copy, migrations, store_errors

DATABASE = "stories.db"
KEY_FILE = "secret.key"
_LOCK = "in-use"
_LOCK_SECONDS = 1.0


class FolderLock:
    """Exclusive use of a folder, until `close` or the end of the process, even if it is killed.

    A lock of SQLite, because it works the same on every system.
    """

    def __init__(self, folder: Path) -> None:
        """Raises StorageFailed if another process has the lock, or if the folder cannot be used."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(folder / _LOCK, timeout=_LOCK_SECONDS, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise StorageFailed(f"The folder cannot be used ({error}).") from error
        try:
            self._connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            self._connection.close()
            if "locked" in str(error):
                raise StorageFailed("Another StoryGen is using this folder. Stop it first.") from error
            raise StorageFailed(f"The folder cannot be used ({error}).") from error

    def close(self) -> None:
        """Release the folder."""
        self._connection.close()


def backup(folder: Path, file: Path) -> None:
    """Write all stories of `folder`, as they are now, to the new file `file`. A server may be running.

    Raises StoreError or OSError.
    """
    source = folder / DATABASE
    if not source.exists():
        raise StoreError(f"There are no stories in {folder}.")
    if file.exists():
        raise StoreError(f"{file} exists already. A backup never overwrites a file.")
    unfinished = file.with_name(file.name + ".unfinished")
    _remove(unfinished)
    with store_errors(), closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        copy_to(connection, unfinished)
    _check(unfinished)
    _flush(unfinished)
    unfinished.rename(file)


def restore(folder: Path, file: Path) -> Path | None:
    """Replace the stories of `folder`, which no server may be using, by the stories of the backup `file`.

    Returns the new path of the replaced stories, or None if the folder had none. Raises StoreError or OSError, and then
    nothing has changed. If the process is killed, the folder has either the old stories or the stories of the backup.
    """
    if not file.is_file():
        raise StoreError(f"There is no file {file}.")
    with closing(FolderLock(folder)):
        fresh = folder / f"{DATABASE}.restoring"
        _remove(fresh)  # left by a restore that was killed
        try:
            fresh.touch(mode=PRIVATE_MODE)
            shutil.copyfile(file, fresh)
            _check(fresh)
            _flush(fresh)
            _merge_write_ahead_log(folder / DATABASE)
            aside = keep_copy(folder / DATABASE, f"replaced-{time.strftime('%Y%m%d-%H%M%S')}")
            if aside is not None:
                _flush(aside)
            fresh.replace(folder / DATABASE)
        finally:
            _remove(fresh)
    return aside


def _remove(path: Path) -> None:
    """Delete the file and its side files, if they exist."""
    for suffix in ("", *SIDE_FILES):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _merge_write_ahead_log(path: Path) -> None:
    """Move SQLite's write-ahead log into the file itself, since it must not lie beside another file."""
    if path.exists():
        # A damaged file is kept as it is.
        with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE")


def _check(path: Path) -> None:
    """Raise Damaged or SchemaTooNew unless `path` is a sound file of stories that this version can read."""
    with store_errors(), closing(sqlite3.connect(path)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > len(migrations()):
            raise SchemaTooNew(f"{path} was written by a newer version of StoryGen. Update the program.")
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema")}
        if not version or not {"story", "draft", "log", "snapshot"} <= tables:
            raise Damaged(f"{path} is not a file of stories.")
        if connection.execute("PRAGMA integrity_check(1)").fetchall() != [("ok",)]:
            raise Damaged(f"{path} is damaged.")


def _flush(path: Path) -> None:
    """Force the file's data to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
