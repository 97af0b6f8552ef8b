"""Store: stories and drafts in one SQLite file.

Owns the SQL of stories and drafts, and the extent of each transaction. The SQL of texts belongs to the draft log. Has
no threads and no locks: the caller makes one call at a time, from any real thread. Every method raises StoreError,
most often StorageFailed, if the disk fails.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stories.errors import StoreError, TooLong, UnknownDraft, UnknownRevision, UnknownStory
from stories.storage import draft_log
from stories.storage.database import copy_to, migrations, open_database, store_errors, transaction
from stories.storage.draft_log import Unfolded, json_text
from stories.storage.records import Commit, DraftEntry, HistoryRow, NewDraft, NewStory, StoredDraft, Story
from stories.text.span_list import SpanList
from stories.text.update import Update


@dataclass(slots=True)
class _Position:
    """The stored position of a draft while a transaction advances it.

    `unfolded` is the size of the log since the draft's newest snapshot, in bytes, `snapshot` the revision of that
    snapshot, and `head` is JSON.
    """

    id: str
    key: int
    story: str
    model: str
    revision: int
    unfolded: int
    snapshot: int
    head: str = ""


class Store:
    """The stories in the file at `path`, which the constructor creates, checks and migrates."""

    def __init__(self, path: Path, scripts: Sequence[str] | None = None) -> None:
        self._connection = open_database(path, migrations() if scripts is None else scripts)

    def close(self) -> None:
        self._connection.close()

    def backup(self, path: Path) -> None:
        """Write a copy of the whole database to the new file `path`."""
        copy_to(self._connection, path)

    def check_writable(self) -> None:
        """Raise StoreError unless stories can be stored. Writes a value that is there already."""
        with store_errors():
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        with transaction(self._connection):
            self._connection.execute(f"PRAGMA user_version = {version}")

    def create_story(self, owner: str, story: NewStory) -> Story:
        """Store a new story with its drafts and return it."""
        with transaction(self._connection):
            self._connection.execute(
                "INSERT INTO story (id, owner, title, mode, updated) VALUES (?, ?, ?, ?, ?)",
                (story.id, owner, story.title, story.mode, time.time()),
            )
            for draft in story.drafts:
                self._insert_draft(story.id, draft)
        return self.story(owner, story.id)

    def stories(self, owner: str) -> list[Story]:
        """Return the stories of `owner`, the most recently changed first."""
        with store_errors():
            rows = self._connection.execute(
                "SELECT id FROM story WHERE owner = ? ORDER BY updated DESC, id", (owner,)
            ).fetchall()
        return [self.story(owner, story) for (story,) in rows]

    def story(self, owner: str, story_id: str) -> Story:
        """Return a story. Raises UnknownStory, also for a story of another owner."""
        with store_errors():
            row = self._connection.execute(
                "SELECT title, mode, updated FROM story WHERE id = ? AND owner = ?", (story_id, owner)
            ).fetchone()
            if row is None:
                raise UnknownStory
            drafts = self._connection.execute(
                "SELECT id, model, parent, forked_at, head, words FROM draft WHERE story = ? ORDER BY key", (story_id,)
            ).fetchall()
        title, mode, updated = row
        entries = tuple(
            DraftEntry(draft, model, parent, forked_at if parent else None, json.loads(head))
            for draft, model, parent, forked_at, head, _ in drafts
        )
        return Story(story_id, title, mode, updated, max((row[-1] for row in drafts), default=0), entries)

    def rename_story(self, owner: str, story_id: str, title: str) -> Story:
        """Rename a story and return it. Raises UnknownStory."""
        self.story(owner, story_id)
        with transaction(self._connection):
            self._connection.execute("UPDATE story SET title = ? WHERE id = ?", (title, story_id))
        return self.story(owner, story_id)

    def delete_story(self, owner: str, story_id: str) -> None:
        """Delete a story with all its drafts and their logs. Raises UnknownStory."""
        self.story(owner, story_id)
        with transaction(self._connection):
            self._connection.execute("DELETE FROM story WHERE id = ?", (story_id,))

    def delete_if_unchanged_since(self, story_id: str, since: float) -> bool:
        """Delete a story if it has not changed since `since`, in seconds since 1970. Return whether it was deleted."""
        with transaction(self._connection):
            done = self._connection.execute("DELETE FROM story WHERE id = ? AND updated < ?", (story_id, since))
        return done.rowcount > 0

    def unchanged_since(self, since: float) -> list[tuple[str, tuple[str, ...]]]:
        """Return id and draft ids of every story that has not changed since `since`, in seconds since 1970."""
        with store_errors():
            rows = self._connection.execute(
                "SELECT story.id, draft.id FROM story LEFT JOIN draft ON draft.story = story.id"
                " WHERE updated < ? ORDER BY story.id",
                (since,),
            ).fetchall()
        stories: dict[str, list[str]] = {}
        for story, draft in rows:
            stories.setdefault(story, []).extend([draft] if draft else [])
        return [(story, tuple(drafts)) for story, drafts in stories.items()]

    def add_draft(self, owner: str, story_id: str, draft: NewDraft) -> Story:
        """Add a draft to a story and return the story. Raises UnknownStory."""
        self.story(owner, story_id)
        with transaction(self._connection):
            self._insert_draft(story_id, draft)
            self._touch(story_id)
        return self.story(owner, story_id)

    def delete_draft(self, owner: str, draft_id: str) -> None:
        """Delete a draft with its log. Raises UnknownDraft, also for a draft of another owner."""
        if self.draft_owner(draft_id) != owner:
            raise UnknownDraft
        with transaction(self._connection):
            self._connection.execute("DELETE FROM draft WHERE id = ?", (draft_id,))

    def draft_owner(self, draft_id: str) -> str:
        """Return the owner of a draft. Raises UnknownDraft."""
        with store_errors():
            row = self._connection.execute(
                "SELECT owner FROM draft JOIN story ON story.id = draft.story WHERE draft.id = ?", (draft_id,)
            ).fetchone()
        if row is None:
            raise UnknownDraft
        return str(row[0])

    def load(self, draft_id: str) -> StoredDraft:
        """Return a draft as it was last committed. Raises UnknownDraft."""
        key, revision = self._position(draft_id)
        with store_errors():
            story, owner, mode, head, parent, forked_at = self._connection.execute(
                "SELECT story.id, owner, mode, head, parent, forked_at"
                " FROM draft JOIN story ON story.id = draft.story WHERE key = ?",
                (key,),
            ).fetchone()
            text, spans = draft_log.fold(self._connection, key, revision)
        forked_at = forked_at if parent else None
        return StoredDraft(draft_id, story, owner, mode, revision, text, spans, json.loads(head), parent, forked_at)

    def updates(self, draft_id: str, start: int, end: int, at_most: int | None = None) -> list[Update]:
        """Return the updates from revision `start` to `end`.

        Raises UnknownDraft or UnknownRevision, or TooLong if they insert more than `at_most` units.
        """
        key, revision = self._position(draft_id)
        if not 0 <= start <= end <= revision:
            raise UnknownRevision
        with store_errors():
            if at_most is not None and draft_log.inserted_units(self._connection, key, start, end) > at_most:
                raise TooLong("This part of the draft's log is too long to be read at once.")
            return draft_log.read_updates(self._connection, key, start, end)

    def text_at(self, draft_id: str, revision: int) -> tuple[str, SpanList]:
        """Return text and spans as they were at `revision`. Raises UnknownDraft or UnknownRevision."""
        key, newest = self._position(draft_id)
        if not 0 <= revision <= newest:
            raise UnknownRevision
        with store_errors():
            return draft_log.fold(self._connection, key, revision)

    def history(self, draft_id: str, since: int = 0, at_most: int | None = None) -> list[HistoryRow]:
        """Return the updates after revision `since` in order, at most `at_most` of them, without their tokens."""
        key, revision = self._position(draft_id)
        with store_errors():
            end = revision if at_most is None else min(revision, since + at_most)
            return draft_log.read_history(self._connection, key, since, end)

    def commit(self, commits: Sequence[Commit]) -> None:
        """Store all of `commits` in one transaction (group commit). If anything is raised, none of them is stored.

        Uses few statements; `draft_log.append` says why.
        """
        with transaction(self._connection):
            positions = self._positions([commit.draft for commit in commits])
            rows = [row for commit in commits for row in self._advance(commit, positions)]
            draft_log.append(self._connection, rows)
            self._save(list(positions.values()))

    def _positions(self, drafts: Sequence[str]) -> dict[str, _Position]:
        """The stored position of each draft that exists, read as one row, since each row costs a step of SQLite."""
        (found,) = self._connection.execute(
            "SELECT json_group_array(json_array(id, key, story, model, revision, unfolded, (SELECT max(revision)"
            " FROM snapshot WHERE draft = key))) FROM draft WHERE id IN (SELECT value FROM json_each(?))",
            (json_text(drafts),),
        ).fetchone()
        return {position[0]: _Position(*position) for position in json.loads(found)}

    def _advance(self, commit: Commit, positions: dict[str, _Position]) -> list[tuple[Any, ...]]:
        """Advance the draft's position by `commit`, and write its snapshot and forks. Return the rows for the log."""
        if commit.draft not in positions:
            positions |= self._positions([commit.draft])  # a fork made by an earlier commit of the same transaction
        if (position := positions.get(commit.draft)) is None:
            raise UnknownDraft
        _check(commit, position.revision)
        rows, size = draft_log.to_rows(position.key, position.revision, commit.updates)
        position.revision += len(commit.updates)
        position.unfolded += size
        position.head, position.model = json.dumps(dict(commit.head)), commit.head.get("model") or position.model
        draft_log.check_no_nul(position.model)
        if Unfolded(position.revision - position.snapshot, position.unfolded).needs_snapshot(len(commit.text)):
            draft_log.write_snapshot(self._connection, position.key, position.revision, commit.text, commit.spans)
            words = len(commit.text.split())
            self._connection.execute("UPDATE draft SET words = ? WHERE key = ?", (words, position.key))
            position.snapshot, position.unfolded = position.revision, 0
        for fork in commit.forks:
            self._insert_draft(position.story, fork)
        return rows

    def _save(self, positions: Sequence[_Position]) -> None:
        """Write the positions, and mark their stories as changed now."""
        # Each value is looked up in a JSON object by key. UPDATE FROM would be plainer, but needs SQLite 3.33.
        columns = ("revision", "unfolded", "head", "model")
        assignments = (
            f"{name} = json_extract(:values, '$.\"' || key || '\"[{index}]')" for index, name in enumerate(columns)
        )
        values = {each.key: (each.revision, each.unfolded, each.head, each.model) for each in positions}
        self._connection.execute(
            f"UPDATE draft SET {', '.join(assignments)} WHERE key IN (SELECT json_each.key FROM json_each(:values))",
            {"values": json_text(values)},
        )
        self._connection.execute(
            "UPDATE story SET updated = ? WHERE id IN (SELECT value FROM json_each(?))",
            (time.time(), json_text([each.story for each in positions])),
        )

    def _insert_draft(self, story_id: str, draft: NewDraft) -> None:
        cursor = self._connection.execute(
            "INSERT INTO draft (id, story, parent, forked_at, revision, model, head, words, unfolded)"
            " VALUES (?, ?, ?, ?, 0, ?, ?, ?, 0)",
            (
                *(draft.id, story_id, draft.parent, draft.forked_at, draft.model),
                *(json.dumps(dict(draft.head)), len(draft.text.split())),
            ),
        )
        assert cursor.lastrowid is not None
        draft_log.write_snapshot(self._connection, cursor.lastrowid, 0, draft.text, draft.spans)

    def _touch(self, story_id: str) -> None:
        """Mark a story as changed now."""
        self._connection.execute("UPDATE story SET updated = ? WHERE id = ?", (time.time(), story_id))

    def _position(self, draft_id: str) -> tuple[int, int]:
        """The draft's number in the database, and its revision. Raises UnknownDraft."""
        with store_errors():
            row = self._connection.execute("SELECT key, revision FROM draft WHERE id = ?", (draft_id,)).fetchone()
        if row is None:
            raise UnknownDraft
        return row[0], row[1]


def _check(commit: Commit, stored: int) -> None:
    """Raise StoreError if `commit` would leave a gap in the log, or if its updates do not lead to its text."""
    if commit.revision != stored:
        raise StoreError(f"The draft is at revision {stored}, not {commit.revision}.")
    lengths = {len(commit.text), commit.spans.length}
    if commit.updates:
        lengths.add(commit.updates[-1].changes.new_length)
    if len(lengths) != 1:
        raise StoreError("The updates of the draft do not lead to its text.")
