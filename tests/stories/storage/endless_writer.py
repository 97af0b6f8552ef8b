"""Endless writer: a process for test_kill that commits to two drafts and prints each revision once it is durable."""

from __future__ import annotations

import sys
from pathlib import Path

from stories.storage.records import Commit
from stories.storage.store import Store
from stories.text.changes import ChangeSet
from stories.text.update import Token, Update

DRAFTS = ("d0", "d1")


def word(revision: int) -> str:
    """Return the text that the update to `revision` appends."""
    return f"{revision} "


def write(path: Path) -> None:
    """Commit to the store at `path` until the process is killed."""
    store = Store(path)
    pages = {draft: store.load(draft) for draft in DRAFTS}
    state = {draft: (page.revision, page.text, page.spans) for draft, page in pages.items()}
    while True:
        commits = []
        for draft, (revision, text, spans) in state.items():
            insert = word(revision + 1)
            changes = ChangeSet.insert(len(text), len(text), insert)
            update = Update("model", "model:m", changes, (Token(revision, len(insert), -1.0),), "v")
            text, spans = changes.apply(text), spans.apply(update)
            commits.append(Commit(draft, revision, (update,), {"model": "m", "count": revision + 1}, text, spans))
            state[draft] = (revision + 1, text, spans)
        store.commit(commits)
        sys.stdout.write(f"{commits[0].revision + 1}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
