"""A killed process loses no commit that it acknowledged, and leaves a sound file."""

from __future__ import annotations

import os
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

from stories.storage.records import NewDraft, NewStory
from stories.storage.store import Store
from stories.text.span_list import SpanList
from stories.text.update import USER
from tests.stories.storage.endless_writer import DRAFTS, word

ROOT = Path(__file__).parents[3]
KILLS = 8


def write_and_kill(path: Path, acknowledgements: int) -> int:
    """Start a writer and kill it after `acknowledgements`. Return the last revision that it acknowledged."""
    writer = subprocess.Popen(
        [sys.executable, "-m", "tests.stories.storage.endless_writer", str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    with writer.stdout:
        try:
            lines = [writer.stdout.readline() for _ in range(acknowledgements)]
        finally:
            writer.kill()
            writer.wait()
        # Lines written until the kill count too, except a last line that was cut short.
        lines += writer.stdout.readlines()
    return int([line for line in lines if line.endswith("\n")][-1])


def test_acknowledged_commits_survive_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "stories.db"
    store = Store(path)
    drafts = tuple(NewDraft(draft, "m", {"model": "m"}, "", SpanList.of(0, USER)) for draft in DRAFTS)
    store.create_story("me", NewStory("s", "Title", "continue", drafts))
    store.close()
    randomness = random.Random(20260101)
    for _ in range(KILLS):
        acknowledged = write_and_kill(path, randomness.randint(1, 150))
        store = Store(path)
        for draft in DRAFTS:
            loaded = store.load(draft)
            assert acknowledged <= loaded.revision <= acknowledged + 1
            assert [row.revision for row in store.history(draft)] == list(range(1, loaded.revision + 1))
            assert loaded.text == "".join(word(revision) for revision in range(1, loaded.revision + 1))
            assert loaded.spans.length == len(loaded.text)
            assert loaded.spans.model_tokens == loaded.revision
            assert loaded.head["count"] == loaded.revision
        assert len({store.load(draft).revision for draft in DRAFTS}) == 1
        store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
