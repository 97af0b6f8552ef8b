"""Group commit: the commits of many drafts in few transactions.

Owns the queue of commits, and a probe whether the disk can be written. While one transaction is under way the next one
gathers, so that many drafts share the cost of one disk flush. Knows nothing of the meaning of what is stored.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import ParamSpec, Protocol, TypeVar

from stories.errors import StoreError
from stories.storage.records import Commit
from stories.storage.store import Store
from stories.text.update import Update

MAX_BATCH = 256
PROBE_SECONDS = 2.0

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
_Waiting = tuple[Commit, "Future[None]"]


class RunBlocking(Protocol):
    """Run a function on a real thread, one call at a time, and wait for its result.

    Under eventlet, SQLite and long computations must not run in the event loop's thread. `server.py` hands in functions
    of this type.
    """

    def __call__(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...


class GroupCommit:
    """`run_blocking` runs every call of the store on a real thread, one at a time."""

    def __init__(self, store: Store, run_blocking: RunBlocking) -> None:
        self._store = store
        self._run_blocking = run_blocking
        self.num_commits = self.num_drafts = 0  # successful transactions, and the drafts' commits in them
        self.seconds = 0.0  # time those transactions took
        self._probed = -PROBE_SECONDS
        self._problem: str | None = None
        self._waiting: queue.Queue[_Waiting | None] = queue.Queue()
        self._thread = threading.Thread(target=self._loop, name="group-commit", daemon=True)
        self._thread.start()

    def commit(self, commit: Commit) -> None:
        """Wait until the commit is durable. Raises StoreError when it is not."""
        done: Future[None] = Future()
        self._waiting.put((commit, done))
        done.result()

    def updates(self, draft: str, start: int, end: int, max_units: int) -> list[Update]:
        """Read the updates from revision `start` to `end`. Raises StoreError; TooLong beyond `max_units`."""
        return self._run_blocking(self._store.updates, draft, start, end, max_units)

    def problem(self) -> str | None:
        """Return why nothing can be stored at present, as a sentence. Checks every two seconds at most."""
        now = time.monotonic()
        if now > self._probed + PROBE_SECONDS:
            self._probed = now
            try:
                self._run_blocking(self._store.check_writable)
                self._problem = None
            except StoreError as error:
                self._problem = error.message
        return self._problem

    def close(self) -> None:
        """Store what waits, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _loop(self) -> None:
        while (first := self._waiting.get()) is not None:
            batch, is_last = self._gather(first)
            self._write(batch)
            if is_last:
                return

    def _gather(self, first: _Waiting) -> tuple[list[_Waiting], bool]:
        """Return `first` and the commits that wait after it, and whether they are the last."""
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

    def _write(self, batch: Sequence[_Waiting]) -> None:
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
