"""Store: stories and drafts in one SQLite file.

Owns every statement about stories and drafts, and what one transaction holds; texts are the draft log's.
Has no threads and no locks: calls come one after the other, from whatever real thread. Every method raises
StoreError, most often StorageFailed, when the disk does not play along.
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
from stories.storage.database import copy_to, migrations, open_database, reading, transaction
from stories.storage.draft_log import Unfolded, json_text
from stories.storage.records import Commit, DraftEntry, HistoryRow, NewDraft, NewStory, StoredDraft, Story
from stories.text.span_list import SpanList
from stories.text.update import Update


@dataclass(slots=True)
class _Position:
    """Where a draft is in a commit. `unfolded` are bytes of the log since its newest `snapshot`; `head` is JSON."""

    id: str
    key: int
    story: str
    model: str
    revision: int
    unfolded: int
    snapshot: int
    head: str = ""


class Store:
    """The stories in the file at `path`, which is created, checked and migrated when it is opened."""

    def __init__(self, path: Path, scripts: Sequence[str] | None = None) -> None:
        self._connection = open_database(path, migrations() if scripts is None else scripts)

    def close(self) -> None:
        self._connection.close()

    def backup(self, path: Path) -> None:
        """Write a copy of everything, as it is now, to the new file `path`."""
        copy_to(self._connection, path)

    def probe(self) -> None:
        """Write something that changes nothing, to see whether anything can be stored."""
        with reading():
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        with transaction(self._connection):
            self._connection.execute(f"PRAGMA user_version = {version}")

    def create_story(self, owner: str, story: NewStory) -> Story:
        with transaction(self._connection):
            self._connection.execute(
                "INSERT INTO story (id, owner, title, mode, updated) VALUES (?, ?, ?, ?, ?)",
                (story.id, owner, story.title, story.mode, time.time()),
            )
            for draft in story.drafts:
                self._insert_draft(story.id, draft)
        return self.story(owner, story.id)

    def stories(self, owner: str) -> list[Story]:
        """Those of `owner`, the last changed first."""
        with reading():
            rows = self._connection.execute(
                "SELECT id FROM story WHERE owner = ? ORDER BY updated DESC, id", (owner,)
            ).fetchall()
        return [self.story(owner, story) for (story,) in rows]

    def story(self, owner: str, story_id: str) -> Story:
        with reading():
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
        self.story(owner, story_id)
        with transaction(self._connection):
            self._connection.execute("UPDATE story SET title = ? WHERE id = ?", (title, story_id))
        return self.story(owner, story_id)

    def delete_story(self, owner: str, story_id: str) -> None:
        """Remove it with all its drafts and their logs."""
        self.story(owner, story_id)
        with transaction(self._connection):
            self._connection.execute("DELETE FROM story WHERE id = ?", (story_id,))

    def delete_untouched(self, story_id: str, since: float) -> bool:
        """Remove it with all its drafts and their logs, but only if it was not changed after `since`."""
        with transaction(self._connection):
            done = self._connection.execute("DELETE FROM story WHERE id = ? AND updated < ?", (story_id, since))
        return done.rowcount > 0

    def untouched(self, since: float) -> list[tuple[str, tuple[str, ...]]]:
        """Id and drafts of the stories not changed after `since`, in seconds since 1970."""
        with reading():
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
        self.story(owner, story_id)
        with transaction(self._connection):
            self._insert_draft(story_id, draft)
            self._touch(story_id)
        return self.story(owner, story_id)

    def delete_draft(self, owner: str, draft_id: str) -> None:
        if self.draft_owner(draft_id) != owner:
            raise UnknownDraft
        with transaction(self._connection):
            self._connection.execute("DELETE FROM draft WHERE id = ?", (draft_id,))

    def draft_owner(self, draft_id: str) -> str:
        with reading():
            row = self._connection.execute(
                "SELECT owner FROM draft JOIN story ON story.id = draft.story WHERE draft.id = ?", (draft_id,)
            ).fetchone()
        if row is None:
            raise UnknownDraft
        return str(row[0])

    def load(self, draft_id: str) -> StoredDraft:
        """The draft as it was last committed."""
        key, revision = self._position(draft_id)
        with reading():
            story, owner, mode, head, parent, forked_at = self._connection.execute(
                "SELECT story.id, owner, mode, head, parent, forked_at"
                " FROM draft JOIN story ON story.id = draft.story WHERE key = ?",
                (key,),
            ).fetchone()
            text, spans = draft_log.fold(self._connection, key, revision)
        forked_at = forked_at if parent else None
        return StoredDraft(draft_id, story, owner, mode, revision, text, spans, json.loads(head), parent, forked_at)

    def updates(self, draft_id: str, start: int, end: int, at_most: int | None = None) -> list[Update]:
        """The updates that lead from revision `start` to `end`. Raises UnknownRevision, or TooLong where they insert
        more than `at_most` units."""
        key, revision = self._position(draft_id)
        if not 0 <= start <= end <= revision:
            raise UnknownRevision
        with reading():
            if at_most is not None and draft_log.inserted(self._connection, key, start, end) > at_most:
                raise TooLong("So much of a draft's log is not read at once.")
            return draft_log.read_updates(self._connection, key, start, end)

    def at(self, draft_id: str, revision: int) -> tuple[str, SpanList]:
        """Text and spans as they were at `revision`. Raises UnknownRevision."""
        key, newest = self._position(draft_id)
        if not 0 <= revision <= newest:
            raise UnknownRevision
        with reading():
            return draft_log.fold(self._connection, key, revision)

    def history(self, draft_id: str, since: int = 0, at_most: int | None = None) -> list[HistoryRow]:
        """The updates after revision `since`, without their tokens, in order."""
        key, revision = self._position(draft_id)
        with reading():
            end = revision if at_most is None else min(revision, since + at_most)
            return draft_log.read_history(self._connection, key, since, end)

    def commit(self, commits: Sequence[Commit]) -> None:
        """Make all of `commits` durable in one transaction, or, if anything is raised, none of them. By few statements:
        `draft_log.append` says why."""
        with transaction(self._connection):
            standings = self._standings([commit.draft for commit in commits])
            rows = [row for commit in commits for row in self._commit(commit, standings)]
            draft_log.append(self._connection, rows)
            self._keep(list(standings.values()))

    def _standings(self, drafts: Sequence[str]) -> dict[str, _Position]:
        """Where each of those drafts is that there are; in one row, since every row is a step of its own."""
        (found,) = self._connection.execute(
            "SELECT json_group_array(json_array(id, key, story, model, revision, unfolded, (SELECT max(revision)"
            " FROM snapshot WHERE draft = key))) FROM draft WHERE id IN (SELECT value FROM json_each(?))",
            (json_text(drafts),),
        ).fetchone()
        return {standing[0]: _Position(*standing) for standing in json.loads(found)}

    def _commit(self, commit: Commit, standings: dict[str, _Position]) -> list[tuple[Any, ...]]:
        """What is to be appended to the log; all else of it is told to its standing, or written."""
        if commit.draft not in standings:
            standings |= self._standings([commit.draft])  # a fork of this very batch
        if (standing := standings.get(commit.draft)) is None:
            raise UnknownDraft
        _check(commit, standing.revision)
        rows, size = draft_log.as_rows(standing.key, standing.revision, commit.updates)
        standing.revision += len(commit.updates)
        standing.unfolded += size
        standing.head, standing.model = json.dumps(dict(commit.head)), commit.head.get("model") or standing.model
        draft_log.refuse_nul(standing.model)
        if Unfolded(standing.revision - standing.snapshot, standing.unfolded).needs_snapshot(len(commit.text)):
            draft_log.write_snapshot(self._connection, standing.key, standing.revision, commit.text, commit.spans)
            words = len(commit.text.split())
            self._connection.execute("UPDATE draft SET words = ? WHERE key = ?", (words, standing.key))
            standing.snapshot, standing.unfolded = standing.revision, 0
        for fork in commit.forks:
            self._insert_draft(standing.story, fork)
        return rows

    def _keep(self, standings: Sequence[_Position]) -> None:
        # By key in an object, which is looked up; UPDATE FROM would be plainer, but SQLite has it since 3.33 only.
        columns = ("revision", "unfolded", "head", "model")
        values = (f"{name} = json_extract(:given, '$.\"' || key || '\"[{at}]')" for at, name in enumerate(columns))
        self._connection.execute(
            f"UPDATE draft SET {', '.join(values)} WHERE key IN (SELECT json_each.key FROM json_each(:given))",
            {"given": json_text({at.key: (at.revision, at.unfolded, at.head, at.model) for at in standings})},
        )
        self._connection.execute(
            "UPDATE story SET updated = ? WHERE id IN (SELECT value FROM json_each(?))",
            (time.time(), json_text([at.story for at in standings])),
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
        self._connection.execute("UPDATE story SET updated = ? WHERE id = ?", (time.time(), story_id))

    def _position(self, draft_id: str) -> tuple[int, int]:
        """The draft's number in the database, and its revision."""
        with reading():
            row = self._connection.execute("SELECT key, revision FROM draft WHERE id = ?", (draft_id,)).fetchone()
        if row is None:
            raise UnknownDraft
        return row[0], row[1]


def _check(commit: Commit, stored: int) -> None:
    """Refuse what would leave a gap in the log, or a log that does not lead to its text."""
    if commit.revision != stored:
        raise StoreError(f"The draft is at revision {stored}, not {commit.revision}.")
    lengths = {len(commit.text), commit.spans.length}
    if commit.updates:
        lengths.add(commit.updates[-1].changes.new_length)
    if len(lengths) != 1:
        raise StoreError("The updates of a draft do not lead to its text.")
