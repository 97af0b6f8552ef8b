"""The disk is full, or somebody else holds the database: nothing is acknowledged, the page is told, and it goes on by
itself once the disk does."""

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
from tests.rig.story_file import assert_gapless, left_behind
from tests.rig.stubborn_page import StubbornPage
from tests.web.raw_page import ask

pytestmark = pytest.mark.app


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of four megabytes."""
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


def suffer(folder: Path, fault: Callable[[Path], AbstractContextManager[None]], sentence: str) -> None:
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
                assert "二" not in app.text(draft), "what is not on disk is shown to nobody"
                assert ask(app.port, "GET", "/livez").status == 200
                assert app.get("/readyz") == {"state": "storage"}
            page.type("三")
            page.settle()
            assert all(app.text(draft).count(to_units(letter)) == 1 for letter in "一二三")
    with left_behind(folder) as store:
        assert_gapless(store, draft)


def test_a_full_disk(small_disk: Path) -> None:
    suffer(small_disk, full, "The disk is full")


def test_a_read_only_disk(small_disk: Path) -> None:
    """A file system with files open for writing stays writable; one that is read-only at the start is said."""
    with running_server(small_disk, "eventlet"):
        pass
    subprocess.run(["mount", "-o", "remount,ro,size=4m", str(small_disk)], check=True)
    command = [sys.executable, "server.py", "--port", "0", "--no-browser", "--data", str(small_disk)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1), ended.stderr
    assert "is its folder there and writable?" in ended.stderr


def test_a_database_that_another_program_holds(tmp_path: Path) -> None:
    suffer(tmp_path, locked, "Another program is using the stories")
