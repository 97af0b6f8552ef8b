"""Story file: the database of a killed server, read from a copy by SQLite and the store alone."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from stories.storage.store import Store
from stories.text.utf16 import to_units

_PARTS = ("", "-wal")  # SQLite rebuilds the third file, an index


@contextmanager
def stored_stories(data: Path) -> Iterator[Store]:
    """Open a copy of the store in `data` after an integrity check. No process may be writing to `data`."""
    with tempfile.TemporaryDirectory() as folder:
        for part in _PARTS:
            if (source := data / f"stories.db{part}").exists():
                shutil.copy(source, folder)
        copy = Path(folder) / "stories.db"
        with closing(sqlite3.connect(copy)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        with closing(Store(copy)) as store:
            yield store


def assert_gapless(store: Store, draft: str) -> int:
    """Assert that each revision exists once and that all together lead to the text. Return the last revision."""
    loaded = store.load(draft)
    assert [row.revision for row in store.history(draft)] == list(range(1, loaded.revision + 1))
    text, _ = store.text_at(draft, 0)
    for update in store.updates(draft, 0, loaded.revision):
        text = update.changes.apply(text)
    assert text == loaded.text
    return loaded.revision


def missing_letters(store: Store, draft: str, letters: str) -> str:
    """The letters that are not in the draft's text."""
    text = store.load(draft).text
    return "".join(letter for letter in letters if to_units(letter) not in text)
