"""Retention: delete stories that were not changed for a long time, where a host asks for it.

Owns when it looks and which stories it keeps: those with an open draft. Knows nothing of their content.
"""

from __future__ import annotations

import functools
import logging
import threading
import time

from generator.drafts.group_commit import RunBlocking
from generator.drafts.open_drafts import OpenDrafts
from stories.errors import StoreError
from stories.storage.store import Store

LOOK_SECONDS = 3600.0
# By then the pages that were open when the server stopped are back, and their stories are kept.
FIRST_LOOK_SECONDS = 600.0
_DAY_SECONDS = 24 * 3600

log = logging.getLogger(__name__)


class Retention:
    """Looks after `first_look` seconds, then every hour, until `close`. With `days` 0 it keeps all stories."""

    def __init__(
        self,
        store: Store,
        run_blocking: RunBlocking,
        drafts: OpenDrafts,
        days: int,
        first_look: float = FIRST_LOOK_SECONDS,
    ) -> None:
        self._store, self._run_blocking, self._drafts, self._days = store, run_blocking, drafts, days
        self._first_look = first_look
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="retention", daemon=True)
        if days:
            self._thread.start()

    def close(self) -> None:
        """Stop looking, and wait until the present look has ended."""
        self._closed.set()
        if self._days:
            self._thread.join()

    def delete_old(self, now: float) -> int:
        """Delete the stories that are too old at `now`, in seconds since 1970. Returns their number."""
        deleted, since = 0, now - self._days * _DAY_SECONDS
        for story, drafts in self._run_blocking(self._store.unchanged_since, since):
            if self._closed.is_set():
                break
            # The story may have been changed or deleted since the list was made.
            delete = functools.partial(self._run_blocking, self._store.delete_if_unchanged_since, story, since)
            deleted += self._drafts.discard_unused(drafts, delete)
        return deleted

    def _loop(self) -> None:
        wait = self._first_look
        while not self._closed.wait(wait):
            wait = LOOK_SECONDS
            try:
                if deleted := self.delete_old(time.time()):
                    log.info("deleted %d stories that were unchanged for %d days", deleted, self._days)
            except StoreError as error:
                log.error("old stories could not be deleted: %s", error)
