"""What goes into the store and what comes out of it: plain values.

`head` is JSON data with everything durable of a draft besides text, spans and revision. It is opaque here,
but for its `model`, which listings show. Texts are in units form. Ids are 128 bit in hex.
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
    """A draft as it begins, at revision 0. `forked_at` is the revision at which it left `parent`."""

    id: str
    model: str
    head: Mapping[str, Any]
    text: str
    spans: SpanList
    parent: str | None = None
    forked_at: int | None = None


@dataclass(frozen=True, slots=True)
class NewStory:
    """`mode` is `continue` or `prompt`."""

    id: str
    title: str
    mode: str
    drafts: tuple[NewDraft, ...]


@dataclass(frozen=True, slots=True)
class DraftEntry:
    """A draft in a listing. `parent` and `forked_at` are None where there is no parent (any more)."""

    id: str
    model: str
    parent: str | None
    forked_at: int | None
    head: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """`updated` is in seconds since 1970; `words` those of the longest draft, as of its newest snapshot."""

    id: str
    title: str
    mode: str
    updated: float
    words: int
    drafts: tuple[DraftEntry, ...]


@dataclass(frozen=True, slots=True)
class StoredDraft:
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
    """What one draft makes durable: `updates` lead from `revision` to `text` and `spans`; `forks` are new siblings."""

    draft: str
    revision: int
    updates: tuple[Update, ...]
    head: Mapping[str, Any]
    text: str
    spans: SpanList
    forks: tuple[NewDraft, ...] = ()


class HistoryRow(NamedTuple):
    """One update without its tokens: the revision it led to, units inserted and deleted, seconds since 1970."""

    revision: int
    author: str
    client: str
    inserted: int
    deleted: int
    at: float
    changes: ChangeSet
