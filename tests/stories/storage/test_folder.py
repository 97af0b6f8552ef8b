"""Data folder: one process at a time, whole backups, and restores that either succeed or change nothing."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from stories.errors import Damaged, SchemaTooNew, StorageFailed, StoreError
from stories.storage import folder
from stories.storage.database import migrations
from stories.storage.records import Commit, NewDraft, NewStory
from stories.storage.store import Store
from stories.text.changes import ChangeSet
from stories.text.span_list import SpanList
from stories.text.update import USER, Update

ROOT = Path(__file__).parents[3]
LOCK_AND_WAIT = """
import sys
from pathlib import Path
from stories.storage.folder import FolderLock
lock = FolderLock(Path(sys.argv[1]))
print("locked", flush=True)
sys.stdin.read()
"""


def written(data: Path, text: str) -> Store:
    """A store in `data` with one draft. Its text is only in SQLite's write-ahead log until the store is closed."""
    store = Store(data / folder.DATABASE)
    draft = NewDraft("d", "m", {"model": "m"}, "", SpanList.of(0, USER))
    store.create_story("me", NewStory("s", "Title", "continue", (draft,)))
    update = Update("page", USER, ChangeSet.insert(0, 0, text))
    store.commit([Commit("d", 0, (update,), {"model": "m"}, text, SpanList.of(len(text), USER))])
    return store


def text_in(data: Path) -> str:
    with closing(Store(data / folder.DATABASE)) as store:
        return store.load("d").text


def test_a_folder_belongs_to_one_process_until_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_LOCK_SECONDS", 0.1)
    command = [sys.executable, "-c", LOCK_AND_WAIT, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(StorageFailed, match="Another StoryGen"):
            folder.FolderLock(tmp_path)
        written(tmp_path / "other", "x").close()
        folder.backup(tmp_path / "other", tmp_path / "copy")
        with pytest.raises(StorageFailed, match="Another StoryGen"):
            folder.restore(tmp_path, tmp_path / "copy")
        process.kill()
    folder.FolderLock(tmp_path).close()


def test_a_backup_of_an_open_store_is_whole(tmp_path: Path) -> None:
    store = written(tmp_path / "data", "Once")
    folder.backup(tmp_path / "data", tmp_path / "copy")
    store.close()
    folder.restore(tmp_path / "elsewhere", tmp_path / "copy")
    assert text_in(tmp_path / "elsewhere") == "Once"
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy"]


def test_a_backup_never_overwrites_a_file(tmp_path: Path) -> None:
    written(tmp_path, "Once").close()
    (tmp_path / "copy").write_text("precious")
    with pytest.raises(StoreError, match="exists already"):
        folder.backup(tmp_path, tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == "precious"
    with pytest.raises(StoreError, match="no stories in"):
        folder.backup(tmp_path / "nowhere", tmp_path / "other")


def test_a_restore_keeps_the_replaced_stories(tmp_path: Path) -> None:
    written(tmp_path / "old", "Old").close()
    folder.backup(tmp_path / "old", tmp_path / "copy")
    store = written(tmp_path / "new", "New")
    shutil.copytree(tmp_path / "new", tmp_path / "crashed")  # with its write-ahead log
    store.close()
    aside = folder.restore(tmp_path / "crashed", tmp_path / "copy")
    assert text_in(tmp_path / "crashed") == "Old"
    assert aside is not None
    with closing(Store(aside)) as replaced:
        assert replaced.load("d").text == "New"
    names = {path.name for path in (tmp_path / "crashed").iterdir()}
    assert names == {folder.DATABASE, "in-use", aside.name}


@pytest.mark.parametrize(("killed", "text"), [("before", "New"), ("after", "Old")])
def test_a_killed_restore_leaves_the_old_or_the_new_stories(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: str, text: str
) -> None:
    """Replacing the file is one atomic step, and no file is missing before or after it."""
    written(tmp_path / "old", "Old").close()
    folder.backup(tmp_path / "old", tmp_path / "copy")
    written(tmp_path / "new", "New").close()
    replace = Path.replace

    def stop(path: Path, target: Path) -> None:
        if killed == "after":
            replace(path, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", stop)
    monkeypatch.setattr(Path, "rename", stop)
    with pytest.raises(KeyboardInterrupt):
        folder.restore(tmp_path / "new", tmp_path / "copy")
    monkeypatch.undo()
    assert text_in(tmp_path / "new") == text
    folder.restore(tmp_path / "new", tmp_path / "copy")
    assert text_in(tmp_path / "new") == "Old"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no file modes; the folder's permissions count there")
def test_files_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    written(tmp_path / "data", "Once").close()
    folder.backup(tmp_path / "data", tmp_path / "copy")
    aside = folder.restore(tmp_path / "data", tmp_path / "copy")
    assert aside is not None
    for file in (tmp_path / "copy", aside, tmp_path / "data" / folder.DATABASE):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("damage", "error"), [("no database", Damaged), ("another", Damaged), ("newer", SchemaTooNew), ("cut", Damaged)]
)
def test_a_file_that_is_not_a_sound_backup_is_not_restored(
    tmp_path: Path, damage: str, error: type[StoreError]
) -> None:
    written(tmp_path / "data", "Once").close()
    bad = tmp_path / "bad"
    folder.backup(tmp_path / "data", bad)
    if damage == "no database":
        bad.write_text("Dear diary, " * 1000)
    elif damage == "cut":
        bad.write_bytes(bad.read_bytes()[: 3 * 4096])
    else:
        bad.unlink() if damage == "another" else None
        with closing(sqlite3.connect(bad)) as connection:
            connection.execute(f"PRAGMA user_version = {len(migrations()) + 1 if damage == 'newer' else 1}")
            connection.execute("CREATE TABLE other (a)")
    with pytest.raises(error):
        folder.restore(tmp_path / "data", bad)
    assert text_in(tmp_path / "data") == "Once"
    assert {path.name for path in (tmp_path / "data").iterdir()} <= {folder.DATABASE, "in-use"}
