"""Recent updates: the end of a draft's log, kept in memory.

Owns how far back a page may be, in updates and in text, and how much of the log is kept. Knows nothing of requests,
commits or pages.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stories import limits
from stories.errors import Behind, TooLong
from stories.text.update import Update

# (first revision, last revision, largest number of inserted units) -> updates
ReadStored = Callable[[int, int, int], list[Update]]


class RecentUpdates:
    """`read_stored` reads older updates from the store; it raises TooLong."""

    def __init__(self, read_stored: ReadStored) -> None:
        self._read_stored = read_stored
        self._recent: list[Update] = []  # updates that are not committed yet included
        self._units = 0

    def extend(self, updates: Sequence[Update]) -> None:
        """Add the updates that were just applied."""
        self._recent.extend(updates)
        self._units += sum(update.changes.inserted for update in updates)

    def clear(self) -> None:
        """Forget everything: updates in memory may not have been stored."""
        self._recent.clear()
        self._units = 0

    def trim(self) -> None:
        """Forget the oldest updates beyond the limits. All updates must be committed."""
        surplus = max(0, len(self._recent) - limits.RECENT_UPDATES)
        self._units -= sum(update.changes.inserted for update in self._recent[:surplus])
        while self._units > limits.RECENT_UNITS:
            self._units -= self._recent[surplus].changes.inserted
            surplus += 1
        del self._recent[:surplus]

    def since(self, revision: int, head: int) -> tuple[Update, ...]:
        """Return the updates from `revision` to `head`. Raises Behind where they are too many or too long."""
        count = head - revision
        if not 0 <= count <= limits.BEHIND_UPDATES:
            raise Behind
        if count <= len(self._recent):
            return tuple(self._recent[len(self._recent) - count :])
        try:
            oldest = head - len(self._recent)
            older = self._read_stored(revision, oldest, max(0, limits.BEHIND_UNITS - self._units))
        except TooLong as error:
            raise Behind from error
        return (*older, *self._recent)
