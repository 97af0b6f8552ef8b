"""Disk faults: on a full disk or a locked database no edit is acknowledged and the page is told.

The page stores its edits by itself once the fault is over.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path

import pytest

from stories.text.utf16 import to_units
from tests.app.server import ROOT, running_server
from tests.rig.story_file import assert_gapless, stored_stories
from tests.rig.stubborn_page import StubbornPage
from tests.web.raw_page import ask

pytestmark = pytest.mark.app


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of its own with four megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if made.returncode:
        pytest.skip("only root on Linux can make a file system that is full or read-only")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    filler = folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    yield
    filler.unlink()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    with closing(sqlite3.connect(folder / "stories.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


def check_fault(folder: Path, fault: Callable[[Path], AbstractContextManager[None]], sentence: str) -> None:
    with running_server(folder, "eventlet", fakes="paced-30") as app:
        draft = app.draft()
        with StubbornPage(f"ws://127.0.0.1:{app.port}", app.cookie, draft, f"http://127.0.0.1:{app.port}") as page:
            page.type("一")
            page.settle()
            with fault(folder):
                page.type("二" + "x" * 20_000)
                page.wait_until(lambda: bool(page.refusals))
                assert page.refusals[0]["code"] == "storage"
                assert sentence in page.refusals[0]["message"]
                assert not page.is_saved
                assert "二" not in app.text(draft), "an edit that is not stored is shown to no page"
                assert ask(app.port, "GET", "/livez").status == 200
                assert app.get("/readyz") == {"state": "storage"}
            page.type("三")
            page.settle()
            assert all(app.text(draft).count(to_units(letter)) == 1 for letter in "一二三")
    with stored_stories(folder) as store:
        assert_gapless(store, draft)


def test_edits_wait_for_space_on_a_full_disk(small_disk: Path) -> None:
    check_fault(small_disk, full, "The disk is full")


def test_a_server_does_not_start_on_a_read_only_disk(small_disk: Path) -> None:
    """A file system with files open for writing cannot become read-only, so only the start is tested."""
    with running_server(small_disk, "eventlet"):
        pass
    subprocess.run(["mount", "-o", "remount,ro,size=4m", str(small_disk)], check=True)
    command = [sys.executable, "server.py", "--port", "0", "--no-browser", "--data", str(small_disk)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1), ended.stderr
    assert "Its folder must exist and be writable." in ended.stderr


def test_edits_wait_for_a_database_that_another_program_has_locked(tmp_path: Path) -> None:
    check_fault(tmp_path, locked, "Another program is using the stories")
