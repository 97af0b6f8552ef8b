"""Result: the next state of a draft, with the updates and forks that an event led to.

Owns the reducer's output. Knows nothing of the rules that produce it.
"""

from __future__ import annotations

from dataclasses import dataclass

from stories.draft.state import DraftSettings, DraftState
from stories.text.span_list import SpanList
from stories.text.update import Update


@dataclass(frozen=True, slots=True)
class Fork:
    """A new sibling draft with the text of revision `forked_at`."""

    draft: str
    text: str
    spans: SpanList
    settings: DraftSettings
    forked_at: int


@dataclass(frozen=True, slots=True)
class Result:
    """The next state, the updates that lead to it (one revision each), and new sibling drafts."""

    state: DraftState
    updates: tuple[Update, ...] = ()
    forks: tuple[Fork, ...] = ()
