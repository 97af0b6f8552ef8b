"""Step: what an event led to, or why it is refused.

Owns the reducer's results. Knows nothing of how they come about.
"""

from __future__ import annotations

from dataclasses import dataclass

from stories.draft import DraftState, Settings
from stories.spans import Spans
from stories.update import Update


class Refused(Exception):
    """The event can't be applied; nothing changed. `code` is one of the contract's error codes."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Fork:
    """A new sibling draft: this text as it stood at `forked_at`."""

    draft: str
    text: str
    spans: Spans
    settings: Settings
    forked_at: int


@dataclass(frozen=True, slots=True)
class Step:
    """What an event led to: the next state, the updates that led there (one revision each), and forks."""

    state: DraftState
    updates: tuple[Update, ...] = ()
    forks: tuple[Fork, ...] = ()
