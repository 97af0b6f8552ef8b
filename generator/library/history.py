"""Chronicle: when each part of a draft was written, for pages that ask.

Owns how much of a log is read at once and which drafts' times are kept, so that to ask again costs what came since.
Knows nothing of who may ask.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from stories.storage.store import Store
from stories.storage.times import Times

# A few ms of the store's thread: in between it serves those who write.
SLICE = 200
KEPT = 16


class History:
    def __init__(self, store: Store, call: Callable[..., Any]) -> None:
        """`call` runs a function of the store's where that may be done."""
        self._store, self._call = store, call
        self._kept: OrderedDict[str, Times] = OrderedDict()  # the last asked for at the end

    def times(self, draft: str) -> Times:
        """The times of the draft's text, as it was last committed."""
        times = self._kept.get(draft) or self._call(self._beginning, draft)
        while True:
            later: Times = self._call(self._advance, draft, times)
            self._keep(draft, later)
            if later.revision - times.revision < SLICE:
                return later
            times = later

    def _beginning(self, draft: str) -> Times:
        return Times.of_beginning(len(self._store.text_at(draft, 0)[0]))

    def _advance(self, draft: str, times: Times) -> Times:
        return times.after(self._store.history(draft, times.revision, SLICE))

    def _keep(self, draft: str, times: Times) -> None:
        self._kept[draft] = times
        self._kept.move_to_end(draft)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
