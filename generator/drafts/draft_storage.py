"""Draft storage: what is durable of one draft, and the recent updates of its log in memory.

Owns the head that was stored last, how a batch of updates becomes one commit, how far back a page may be, and how much
of the log is kept. Knows nothing of requests, pages or the engine. Used on the draft's own thread only.
"""

from __future__ import annotations

from collections.abc import Sequence

from generator.drafts.group_commit import GroupCommit
from stories import limits
from stories.draft.result import Fork
from stories.draft.state import DraftState, new_head
from stories.errors import Behind, TooLong
from stories.storage.records import Commit, NewDraft
from stories.text.update import Update


class DraftStorage:
    """`state` is the draft as it was loaded."""

    def __init__(self, state: DraftState, storage: GroupCommit) -> None:
        self._draft, self._storage = state.draft, storage
        self._head = state.head()
        self._recent: list[Update] = []  # the newest updates, stored or not
        self._units = 0  # inserted by `_recent`

    def applied(self, updates: Sequence[Update]) -> None:
        """Note updates that were applied and are not committed yet."""
        self._recent.extend(updates)
        self._units += sum(update.changes.inserted for update in updates)

    def since(self, revision: int, state: DraftState) -> tuple[Update, ...]:
        """Return the updates from `revision` to the state's. Raises Behind where they are too many or too long, and
        StoreError."""
        count = state.revision - revision
        if not 0 <= count <= limits.BEHIND_UPDATES:
            raise Behind
        if count <= len(self._recent):
            return tuple(self._recent[len(self._recent) - count :])
        oldest = state.revision - len(self._recent)
        try:
            older = self._storage.updates(self._draft, revision, oldest, max(0, limits.BEHIND_UNITS - self._units))
        except TooLong as error:
            raise Behind from error
        return (*older, *self._recent)

    def commit(self, before: DraftState, after: DraftState, updates: Sequence[Update], forks: Sequence[Fork]) -> None:
        """Make durable what lies between the two states. Returns when it is. Raises StoreError."""
        head = after.head()
        if not updates and not forks and head == self._head:
            return
        siblings = tuple(self._sibling(fork) for fork in forks)
        self._storage.commit(
            Commit(self._draft, before.revision, tuple(updates), head, after.text, after.spans, siblings)
        )
        self._head = head
        self._trim()

    def discard(self) -> None:
        """Clear the updates in memory. Stored ones can be read from the log."""
        self._recent.clear()
        self._units = 0

    def revert(self, state: DraftState) -> None:
        """Forget updates that could not be stored; the draft goes on from `state`.

        Its head counts as stored. Otherwise every request, even `open`, would try to store it, and fail while the disk
        is full.
        """
        self.discard()
        self._head = state.head()

    def _trim(self) -> None:
        """Forget the oldest updates beyond the limits. All updates are committed."""
        surplus = max(0, len(self._recent) - limits.RECENT_UPDATES)
        self._units -= sum(update.changes.inserted for update in self._recent[:surplus])
        while self._units > limits.RECENT_UNITS:
            self._units -= self._recent[surplus].changes.inserted
            surplus += 1
        del self._recent[:surplus]

    def _sibling(self, fork: Fork) -> NewDraft:
        head = new_head(fork.settings, fork.spans)
        return NewDraft(fork.draft, fork.settings.model, head, fork.text, fork.spans, self._draft, fork.forked_at)
