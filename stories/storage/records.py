"""Records: the plain values that the store takes and returns.

`head` is JSON data with the durable state of a draft, except its text, spans and revision. The store reads only its
`model`, which listings show. Texts are in units form. Ids are 128 bits in hex. Knows nothing of SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from stories.text.changes import ChangeSet
from stories.text.span_list import SpanList
from stories.text.update import Update


@dataclass(frozen=True, slots=True)
class NewDraft:
    """A new draft, at revision 0. `forked_at` is the revision of `parent` that it starts from."""

    id: str
    model: str
    head: Mapping[str, Any]
    text: str
    spans: SpanList
    parent: str | None = None
    forked_at: int | None = None


@dataclass(frozen=True, slots=True)
class NewStory:
    """A new story with its first drafts. `mode` is `continue` or `prompt`."""

    id: str
    title: str
    mode: str
    drafts: tuple[NewDraft, ...]


@dataclass(frozen=True, slots=True)
class DraftEntry:
    """A draft in a listing. `parent` and `forked_at` are None without a parent, or if the parent was deleted."""

    id: str
    model: str
    parent: str | None
    forked_at: int | None
    head: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """A story in a listing.

    `updated` is in seconds since 1970. `words` is the word count of the longest draft at its newest snapshot.
    """

    id: str
    title: str
    mode: str
    updated: float
    words: int
    drafts: tuple[DraftEntry, ...]


@dataclass(frozen=True, slots=True)
class StoredDraft:
    """A whole draft, as it was last committed."""

    id: str
    story: str
    owner: str
    mode: str
    revision: int
    text: str
    spans: SpanList
    head: Mapping[str, Any]
    parent: str | None
    forked_at: int | None


@dataclass(frozen=True, slots=True)
class Commit:
    """The changes of one draft: `updates` lead from `revision` to `text` and `spans`; `forks` are new siblings."""

    draft: str
    revision: int
    updates: tuple[Update, ...]
    head: Mapping[str, Any]
    text: str
    spans: SpanList
    forks: tuple[NewDraft, ...] = ()


class HistoryRow(NamedTuple):
    """An update without its tokens. `inserted` and `deleted` are in units, `at` is in seconds since 1970."""

    revision: int
    author: str
    client: str
    inserted: int
    deleted: int
    at: float
    changes: ChangeSet
