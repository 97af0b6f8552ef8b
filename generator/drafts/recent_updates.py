"""The end of a draft's log: what was applied last, at hand without asking the store.

Owns how far back a page may be, in updates and in text, and how much of the log stays in memory. Knows nothing of
turns, commits and pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stories.errors import Behind, TooLong
from stories.text.update import Update

MAX_BEHIND = 5_000
MAX_BEHIND_UNITS = 4_000_000  # inserted by the updates between; past that a page opens the text, which costs less
RECENT_UPDATES = 1_000
RECENT_UNITS = 1_000_000

# From one revision to another, inserting so many units at most.
Stored = Callable[[int, int, int], list[Update]]


class RecentUpdates:
    def __init__(self, stored: Stored) -> None:
        self._stored = stored
        self._recent: list[Update] = []  # what is not committed yet included
        self._units = 0

    def extend(self, updates: Sequence[Update]) -> None:
        self._recent.extend(updates)
        self._units += sum(update.changes.inserted for update in updates)

    def clear(self) -> None:
        self._recent.clear()
        self._units = 0

    def trim(self) -> None:
        """Keep what there is room for; all of it must be committed."""
        surplus = max(0, len(self._recent) - RECENT_UPDATES)
        self._units -= sum(update.changes.inserted for update in self._recent[:surplus])
        while self._units > RECENT_UNITS:
            self._units -= self._recent[surplus].changes.inserted
            surplus += 1
        del self._recent[:surplus]

    def since(self, revision: int, head: int) -> tuple[Update, ...]:
        """The updates from `revision` to the head. Raises Refused `behind` where that is too much."""
        count = head - revision
        if not 0 <= count <= MAX_BEHIND:
            raise Behind()
        if count <= len(self._recent):
            return tuple(self._recent[len(self._recent) - count :])
        try:
            older = self._stored(revision, head - len(self._recent), max(0, MAX_BEHIND_UNITS - self._units))
        except TooLong as error:
            raise Behind() from error
        return (*older, *self._recent)
