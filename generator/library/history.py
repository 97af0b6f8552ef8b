"""History: when each part of a draft was written.

Owns how much of a log one call reads, and a cache of the drafts asked for last: asking again reads only later updates.
Knows nothing of who may ask.
"""

from __future__ import annotations

from collections import OrderedDict

from generator.drafts.group_commit import RunBlocking
from stories.storage.store import Store
from stories.storage.times import Times

SLICE = 200  # updates: a few milliseconds of the store's thread, which then serves drafts that write
CACHED = 16  # drafts


class History:
    """`run_blocking` runs all calls of the store."""

    def __init__(self, store: Store, run_blocking: RunBlocking) -> None:
        self._store, self._call = store, run_blocking
        self._cache: OrderedDict[str, Times] = OrderedDict()  # the draft asked for last is at the end

    def times(self, draft: str) -> Times:
        """Return the times of the draft's text as it was last committed. Raises StoreError."""
        times = self._cache.get(draft) or self._call(self._beginning, draft)
        while True:
            later = self._call(self._advance, draft, times)
            self._keep(draft, later)
            if later.revision - times.revision < SLICE:
                return later
            times = later

    def _beginning(self, draft: str) -> Times:
        return Times.of_beginning(len(self._store.text_at(draft, 0)[0]))

    def _advance(self, draft: str, times: Times) -> Times:
        return times.after(self._store.history(draft, times.revision, SLICE))

    def _keep(self, draft: str, times: Times) -> None:
        self._cache[draft] = times
        self._cache.move_to_end(draft)
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)
