"""The draft log: the tables that hold a draft's updates and snapshots, from which any revision is folded.

Owns how updates and snapshots are written down and when a snapshot is due. Knows nothing of stories, owners
or transactions. `key` is the draft's number in the database.
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
# A snapshot costs as much as the text is long: in long texts they are rarer, so that their share per update is flat.
UNITS_PER_UPDATE = 400
UNITS_PER_BYTE = 4
# Old snapshots are thinned out to about two in this many revisions: no revision is further from one.
SNAPSHOT_SPACING = 4096

_Row = tuple[Any, ...]
_INSERT = (
    "INSERT INTO log (draft, revision, at, client, author, inserted, deleted, changes, tokens, tokenizer, authors)"
)
_WIDTH, _CHANGES = 11, 7
_LONG = 64 * 1024

_COLUMNS = "client, author, changes, tokens, tokenizer, authors"


@dataclass(frozen=True, slots=True)
class Unfolded:
    """What has come since the newest snapshot."""

    updates: int
    bytes: int

    def needs_snapshot(self, length: int) -> bool:
        """Whether a text of `length` units is due for one."""
        return self.updates >= max(SNAPSHOT_UPDATES, length // UNITS_PER_UPDATE) or self.bytes >= max(
            SNAPSHOT_BYTES, length // UNITS_PER_BYTE
        )


def as_rows(key: int, revision: int, updates: Sequence[Update]) -> tuple[list[_Row], int]:
    """What `append` writes of the updates that follow `revision`, and their size in bytes. Raises StoreError."""
    now = time.time()
    rows: list[_Row] = []
    size = 0
    for number, update in enumerate(updates, revision + 1):
        refuse_nul(update.client, update.author, update.tokenizer)
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
    """Write rows of any drafts, the small ones all by one statement: every statement gives the interpreter away, and in
    a busy process it takes long to come back. Long ones would only be escaped once more for it."""
    small = [row for row in rows if len(row[_CHANGES]) <= _LONG]
    if small:
        columns = ", ".join(f"json_extract(value, '$[{column}]')" for column in range(_WIDTH))
        connection.execute(f"{_INSERT} SELECT {columns} FROM json_each(?)", (json_text(small),))
    long = [row for row in rows if len(row[_CHANGES]) > _LONG]
    connection.executemany(f"{_INSERT} VALUES ({', '.join('?' * _WIDTH)})", long)


def json_text(rows: Sequence[Any] | Mapping[int, Any]) -> str:
    """As SQLite takes it. Half a character is left as it is: then it refuses the whole."""
    return json.dumps(rows, ensure_ascii=False)


def refuse_nul(*words: str | None) -> None:
    """Raises StoreError: SQLite would cut the word off there, as it reads JSON."""
    if any(word and "\0" in word for word in words):
        raise StoreError("A name with a NUL in it cannot be stored.")


def read_updates(connection: sqlite3.Connection, key: int, start: int, end: int) -> list[Update]:
    """The updates that lead from revision `start` to `end`."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM log WHERE draft = ? AND revision > ? AND revision <= ? ORDER BY revision",
        (key, start, end),
    ).fetchall()
    if len(rows) != end - start:
        raise Damaged(f"The log of a draft has a gap between revision {start} and {end}.")
    try:
        return [_update(*row) for row in rows]
    except (ValueError, TypeError) as error:
        raise Damaged(f"The log of a draft cannot be read ({error}).") from error


def inserted(connection: sqlite3.Connection, key: int, start: int, end: int) -> int:
    """How many units the updates from revision `start` to `end` insert, found without reading them."""
    (units,) = connection.execute(
        "SELECT coalesce(sum(inserted), 0) FROM log WHERE draft = ? AND revision > ? AND revision <= ?",
        (key, start, end),
    ).fetchone()
    return int(units)


def write_snapshot(connection: sqlite3.Connection, key: int, revision: int, text: str, spans: SpanList) -> None:
    """Write text and spans down whole, and drop those of the older snapshots that are no longer needed."""
    # Line by line: one call for all of a long text would hold up every other thread for its whole time.
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
    """Text and spans at `revision`."""
    row = connection.execute(
        "SELECT revision, text, spans FROM snapshot WHERE draft = ? AND revision <= ? ORDER BY revision DESC LIMIT 1",
        (key, revision),
    ).fetchone()
    if row is None:
        raise Damaged(f"A draft has no snapshot up to revision {revision}.")
    since, text, blob = row
    text = to_units(text)
    try:
        spans = SpanList.from_json([json.loads(line) for line in zlib.decompress(blob).splitlines()])
        for update in read_updates(connection, key, since, revision):
            text, spans = update.changes.apply(text), spans.apply(update)
    except (zlib.error, ValueError, InvalidSpans, InvalidChange) as error:
        raise Damaged(f"Revision {revision} of a draft cannot be read ({error}).") from error
    return text, spans


def read_history(connection: sqlite3.Connection, key: int, start: int, end: int) -> list[HistoryRow]:
    """The updates that lead from revision `start` to `end`, without their tokens."""
    rows = connection.execute(
        "SELECT revision, author, client, inserted, deleted, at, changes FROM log"
        " WHERE draft = ? AND revision > ? AND revision <= ? ORDER BY revision",
        (key, start, end),
    ).fetchall()
    try:
        return [HistoryRow._make((*row[:-1], ChangeSet.from_json(json.loads(row[-1])))) for row in rows]
    except ValueError as error:
        raise Damaged(f"The log of a draft cannot be read ({error}).") from error


def _update(client: str, author: str, changes: str, tokens: str | None, tokenizer: str, authors: str | None) -> Update:
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
