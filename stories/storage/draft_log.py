"""Draft log: the tables of a draft's updates and snapshots, from which any of its revisions is folded.

Owns the rows of updates and snapshots, and the rule for when a snapshot is due. Knows nothing of stories, owners or
transactions. `key` is the draft's number in the database.
"""

from __future__ import annotations

import json
import sqlite3
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stories.errors import Damaged, StoreError
from stories.storage.records import HistoryRow
from stories.text.changes import ChangeSet, InvalidChange
from stories.text.span import InvalidSpans
from stories.text.span_list import SpanList
from stories.text.update import Token, Update
from stories.text.utf16 import from_units, to_units

SNAPSHOT_UPDATES = 300
SNAPSHOT_BYTES = 64 * 1024
# The cost of a snapshot grows with the text. Long texts have fewer snapshots, so that the cost per update is flat.
UNITS_PER_UPDATE = 400
UNITS_PER_BYTE = 4
# Old snapshots are thinned out to about two per this number of revisions, so that every revision is near a snapshot.
SNAPSHOT_SPACING = 4096

_Row = tuple[Any, ...]
_LOG_COLUMNS = (
    *("draft", "revision", "at", "client", "author", "inserted", "deleted"),
    *("changes", "tokens", "tokenizer", "authors"),
)
_INSERT = f"INSERT INTO log ({', '.join(_LOG_COLUMNS)})"
_CHANGES = _LOG_COLUMNS.index("changes")
_UPDATE_COLUMNS = "client, author, changes, tokens, tokenizer, authors"
_LONG_CHANGES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Unfolded:
    """The log since the newest snapshot, which has to be folded to read the draft: its updates and their bytes."""

    updates: int
    bytes: int

    def needs_snapshot(self, length: int) -> bool:
        """Whether a snapshot of a text of `length` units is due."""
        enough_updates = self.updates >= max(SNAPSHOT_UPDATES, length // UNITS_PER_UPDATE)
        return enough_updates or self.bytes >= max(SNAPSHOT_BYTES, length // UNITS_PER_BYTE)


def to_rows(key: int, revision: int, updates: Sequence[Update]) -> tuple[list[_Row], int]:
    """Return the rows for the updates after `revision`, and their size in bytes. Raises StoreError."""
    now = time.time()
    rows: list[_Row] = []
    size = 0
    for number, update in enumerate(updates, revision + 1):
        check_no_nul(update.client, update.author, update.tokenizer)
        changes = json.dumps(update.changes.to_json())
        tokens = (
            json.dumps([[token.id, token.length, token.logprob] for token in update.tokens]) if update.tokens else ""
        )
        authors = json.dumps(update.authors) if update.authors else None
        deleted = sum(length for length, insert in update.changes.sections if insert is not None)
        rows.append(
            (
                *(key, number, now, update.client, update.author, update.changes.inserted, deleted),
                *(changes, tokens or None, update.tokenizer, authors),
            )
        )
        size += len(changes) + len(tokens)
    return rows, size


def append(connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
    """Write rows of any number of drafts, with all short rows in one statement.

    SQLite releases the interpreter lock for each statement, and in a busy process it takes long to get the lock back.
    A long row gains nothing, since its JSON is escaped once more.
    """
    short = [row for row in rows if len(row[_CHANGES]) <= _LONG_CHANGES]
    if short:
        columns = ", ".join(f"json_extract(value, '$[{column}]')" for column in range(len(_LOG_COLUMNS)))
        connection.execute(f"{_INSERT} SELECT {columns} FROM json_each(?)", (json_text(short),))
    long = [row for row in rows if len(row[_CHANGES]) > _LONG_CHANGES]
    connection.executemany(f"{_INSERT} VALUES ({', '.join('?' * len(_LOG_COLUMNS))})", long)


def json_text(rows: Sequence[Any] | Mapping[int, Any]) -> str:
    """Return `rows` as JSON for SQLite. A lone surrogate is kept as it is, so that the statement is refused."""
    return json.dumps(rows, ensure_ascii=False)


def check_no_nul(*words: str | None) -> None:
    """Raise StoreError if one of `words` contains NUL, at which SQLite cuts off a string in JSON."""
    if any(word and "\0" in word for word in words):
        raise StoreError("A name that contains NUL cannot be stored.")


def read_updates(connection: sqlite3.Connection, key: int, start: int, end: int) -> list[Update]:
    """Return the updates from revision `start` to `end`. Raises Damaged."""
    rows = connection.execute(
        f"SELECT {_UPDATE_COLUMNS} FROM log WHERE draft = ? AND revision > ? AND revision <= ? ORDER BY revision",
        (key, start, end),
    ).fetchall()
    if len(rows) != end - start:
        raise Damaged(f"A draft's log has a gap between revisions {start} and {end}.")
    try:
        return [_update(*row) for row in rows]
    except (ValueError, TypeError) as error:
        raise Damaged(f"A draft's log cannot be read ({error}).") from error


def inserted_units(connection: sqlite3.Connection, key: int, start: int, end: int) -> int:
    """Return the number of units that the updates from revision `start` to `end` insert, without reading them."""
    (units,) = connection.execute(
        "SELECT coalesce(sum(inserted), 0) FROM log WHERE draft = ? AND revision > ? AND revision <= ?",
        (key, start, end),
    ).fetchone()
    return int(units)


def write_snapshot(connection: sqlite3.Connection, key: int, revision: int, text: str, spans: SpanList) -> None:
    """Write a snapshot of text and spans, and delete the older snapshots that are no longer needed."""
    # One call per line: a single call for a long text would keep the interpreter lock for all of its time.
    lines = "\n".join(json.dumps(span) for span in spans.to_json())
    connection.execute(
        "INSERT OR REPLACE INTO snapshot (draft, revision, text, spans) VALUES (?, ?, ?, ?)",
        (key, revision, from_units(text), zlib.compress(lines.encode("ascii"), 1)),
    )
    block = revision - revision % SNAPSHOT_SPACING
    connection.execute(
        "DELETE FROM snapshot WHERE draft = :draft AND revision < :newest AND revision >"
        " (SELECT min(revision) FROM snapshot WHERE draft = :draft AND revision >= :block)",
        {"draft": key, "newest": revision, "block": block},
    )


def fold(connection: sqlite3.Connection, key: int, revision: int) -> tuple[str, SpanList]:
    """Return text and spans at `revision`: a snapshot with the later updates applied. Raises Damaged."""
    row = connection.execute(
        "SELECT revision, text, spans FROM snapshot WHERE draft = ? AND revision <= ? ORDER BY revision DESC LIMIT 1",
        (key, revision),
    ).fetchone()
    if row is None:
        raise Damaged(f"A draft has no snapshot at or before revision {revision}.")
    start, text, blob = row
    text = to_units(text)
    try:
        spans = SpanList.from_json([json.loads(line) for line in zlib.decompress(blob).splitlines()])
        for update in read_updates(connection, key, start, revision):
            text, spans = update.changes.apply(text), spans.apply(update)
    except (zlib.error, ValueError, InvalidSpans, InvalidChange) as error:
        raise Damaged(f"Revision {revision} of a draft cannot be read ({error}).") from error
    return text, spans


def read_history(connection: sqlite3.Connection, key: int, start: int, end: int) -> list[HistoryRow]:
    """Return the updates from revision `start` to `end` without their tokens. Raises Damaged."""
    rows = connection.execute(
        "SELECT revision, author, client, inserted, deleted, at, changes FROM log"
        " WHERE draft = ? AND revision > ? AND revision <= ? ORDER BY revision",
        (key, start, end),
    ).fetchall()
    try:
        return [HistoryRow._make((*row[:-1], ChangeSet.from_json(json.loads(row[-1])))) for row in rows]
    except ValueError as error:
        raise Damaged(f"A draft's log cannot be read ({error}).") from error


def _update(client: str, author: str, changes: str, tokens: str | None, tokenizer: str, authors: str | None) -> Update:
    """The update of one row of the log."""
    token_list: list[list[Any]] = json.loads(tokens) if tokens else []
    runs: list[tuple[int, str]] = [(length, name) for length, name in json.loads(authors)] if authors else []
    return Update(
        client,
        author,
        ChangeSet.from_json(json.loads(changes)),
        tuple(Token(*token) for token in token_list),
        tokenizer,
        tuple(runs),
    )
