"""Committer: gathers what drafts have to store into few transactions.

Owns the queue between the drafts' actors and the store, which is called by one at a time. While one transaction is
under way the next one collects, so many writers cost one disk flush together. Knows nothing of what is stored.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from stories.errors import StoreError
from stories.storage.records import Commit
from stories.storage.store import Store

MAX_BATCH = 256

log = logging.getLogger(__name__)

RunBlocking = Callable[..., Any]


class GroupCommit:
    """`run_blocking` runs a function on a real thread, one at a time: all that touches the store goes through it."""

    def __init__(self, store: Store, run_blocking: RunBlocking) -> None:
        self._store = store
        self._run_blocking = run_blocking
        self.num_commits = self.num_drafts = 0  # transactions that succeeded, and what drafts stored in them
        self.seconds = 0.0  # that they took
        self._waiting: queue.Queue[tuple[Commit, Future[None]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._loop, name="committer", daemon=True)
        self._thread.start()

    def commit(self, commit: Commit) -> None:
        """Returns when the commit is durable. Raises StoreError when it is not."""
        done: Future[None] = Future()
        self._waiting.put((commit, done))
        done.result()

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _loop(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, closing = self._gather(first)
            self._write(batch)
            if closing:
                return

    def _gather(self, first: tuple[Commit, Future[None]]) -> tuple[list[tuple[Commit, Future[None]]], bool]:
        batch = [first]
        while len(batch) < MAX_BATCH:
            try:
                waiting = self._waiting.get_nowait()
            except queue.Empty:
                return batch, False
            if waiting is None:
                return batch, True
            batch.append(waiting)
        return batch, False

    def _write(self, batch: Sequence[tuple[Commit, Future[None]]]) -> None:
        began = time.monotonic()
        try:
            self._run_blocking(self._store.commit, [commit for commit, _ in batch])
        except Exception as error:
            if len(batch) > 1:
                for part in batch:  # one draft's bad commit must not cost the others theirs
                    self._write([part])
                return
            if not isinstance(error, StoreError):
                log.exception("a commit failed unexpectedly")
            batch[0][1].set_exception(error)
            return
        self.num_commits += 1
        self.num_drafts += len(batch)
        self.seconds += time.monotonic() - began
        for _, done in batch:
            done.set_result(None)
