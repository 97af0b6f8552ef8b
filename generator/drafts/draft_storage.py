"""Draft storage: what is durable of one draft, and its recent updates.

Owns the head that was stored last, and how a batch of updates becomes one commit. Knows nothing of requests, pages or
the engine. Used on the draft's own thread only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from generator.drafts.group_commit import GroupCommit
from generator.drafts.recent_updates import RecentUpdates
from stories.draft.result import Fork
from stories.draft.state import DraftState, new_head
from stories.storage.records import Commit, NewDraft
from stories.text.update import Update


class DraftStorage:
    """`state` is the draft as it was loaded."""

    def __init__(self, state: DraftState, storage: GroupCommit) -> None:
        self._draft, self._storage = state.draft, storage
        self._head = state.head()
        self._recent = RecentUpdates(partial(storage.updates, state.draft))

    def applied(self, updates: Sequence[Update]) -> None:
        """Note updates that were applied and are not committed yet."""
        self._recent.extend(updates)

    def since(self, revision: int, state: DraftState) -> tuple[Update, ...]:
        """Return the updates from `revision` to the state's. Raises Behind, or StoreError."""
        return self._recent.since(revision, state.revision)

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
        self._recent.trim()

    def discard(self) -> None:
        """Forget updates that will not be stored."""
        self._recent.clear()

    def revert(self, state: DraftState) -> None:
        """Forget updates that could not be stored; the draft goes on from `state`.

        Its head counts as stored: otherwise the draft could not even be read until there is room on the disk again.
        """
        self.discard()
        self._head = state.head()

    def _sibling(self, fork: Fork) -> NewDraft:
        head = new_head(fork.settings, fork.spans)
        return NewDraft(fork.draft, fork.settings.model, head, fork.text, fork.spans, self._draft, fork.forked_at)
