"""Open drafts: all live drafts of this server.

Owns which drafts are in memory, hands the engine's events to the right one, and ends drafts that are not used. Knows
nothing of sockets: `publish` reaches the pages.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from generator.drafts.group_commit import GroupCommit, RunBlocking
from generator.drafts.live_draft import LiveDraft
from generator.drafts.mailbox import gather_seconds
from generator.drafts.services import Publish, Services
from generator.engine_link.shared_engine import MakeEngine, SharedEngine
from generator.models.menu import Menu
from generator.wire.messages import Status
from stories import limits
from stories.draft.events import FromEngine
from stories.errors import Refused, UnknownDraft
from stories.storage.store import Store

SWEEP_SECONDS = 5.0
COUNT_SECONDS = 1.0


class OpenDrafts:
    """`run_blocking` runs all calls of the store, `compute` long pure work. `lag` returns the event loop's lag and
    `reacted(since_edit, since_hold)` counts reaction times, all in seconds."""

    def __init__(
        self,
        store: Store,
        menu: Menu,
        run_blocking: RunBlocking,
        publish: Publish,
        make_engine: MakeEngine,
        reacted: Callable[[float, float], None],
        lag: Callable[[], float],
        compute: RunBlocking,
    ) -> None:
        self._store, self._menu, self._run_blocking = store, menu, run_blocking
        self._drafts: dict[str, LiveDraft] = {}
        self._lock = threading.Lock()
        self._engine = SharedEngine(
            make_engine, self._engine_sent, self._model_changed, self._engine_restarted, self._refresh
        )
        self._storage = GroupCommit(store, run_blocking)
        self._services = Services(self._storage, self._engine, menu, publish, compute, reacted, self._gather_seconds)
        self._lag, self._num_writing_then, self._counted = lag, 0, 0.0
        self._closed = threading.Event()
        self._engine.start()
        self._sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)
        self._sweeper.start()

    @property
    def engine_is_up(self) -> bool:
        """Whether the engine serves commands."""
        return self._engine.is_up

    def storage_problem(self) -> str | None:
        """Return why nothing can be stored at present, as a sentence."""
        return self._storage.problem()

    def live_draft(self, owner: str, draft: str) -> LiveDraft:
        """Return the draft; load it if necessary.

        Raises UnknownDraft if it is missing or another owner's, and Refused (`busy`) if too many drafts are open.
        """
        with self._lock:
            live = self._drafts.get(draft) or self._load(owner, draft)
            if live.owner != owner:
                raise UnknownDraft
            live.touched = time.monotonic()
            self._drafts[draft] = live
        return live

    def if_open(self, draft: str) -> LiveDraft | None:
        """Return the draft if it is in memory."""
        return self._drafts.get(draft)

    def disconnected(self, connection: str) -> None:
        """End every view and every lease of a connection that is gone."""
        for live in self._all():
            live.left(connection)

    def discard(self, drafts: Sequence[str], delete: Callable[[], None]) -> None:
        """End the drafts and call `delete`, which deletes them from the store, while no request can open them.

        The drafts are paused first, without the lock: a pause waits for what is being stored, and other drafts can be
        opened meanwhile. Raises what `delete` raises.
        """
        for live in self._opened(drafts):
            live.pause()
        with self._lock:
            delete()
            for live in self._opened(drafts):
                self._end(live)

    def discard_unused(self, drafts: Sequence[str], delete: Callable[[], bool]) -> bool:
        """Call `delete`, but only if none of the drafts is open. Returns whether anything was deleted."""
        with self._lock:
            return not any(draft in self._drafts for draft in drafts) and delete()

    def menu_changed(self) -> None:
        """Let every draft look again: an entry may have come, gone or become unavailable."""
        self._refresh()

    def close(self) -> None:
        """End every draft after its waiting requests are durable, then stop the engine."""
        self._closed.set()
        self._sweeper.join()
        for live in self._all():
            live.end()
            live.join()
        self._engine.stop()
        self._storage.close()

    def figures(self) -> dict[str, Any]:
        """Return the figures that metrics show."""
        return {
            "engine_up": self._engine.is_up,
            "engine_restarts": self._engine.restarts,
            "engine_tokens": self._engine.tokens,
            "drafts_open": len(self._drafts),
            "requests_running": self._num_writing(),
            "db_commits": self._storage.num_commits,
            "db_commit_seconds": self._storage.seconds,
            "db_batch_ops": self._storage.num_drafts,
        }

    def _all(self) -> list[LiveDraft]:
        return list(self._drafts.values())

    def _opened(self, drafts: Sequence[str]) -> list[LiveDraft]:
        return [live for draft in drafts if (live := self._drafts.get(draft))]

    def _load(self, owner: str, draft: str) -> LiveDraft:
        stored = self._run_blocking(self._store.load, draft)
        if stored.owner != owner:
            raise UnknownDraft  # before a thread is started for it
        if len(self._drafts) >= limits.OPEN_DRAFTS:
            raise Refused("busy", "Too many drafts are open here; try again in a minute.")
        return LiveDraft(stored, self._services)

    def _end(self, live: LiveDraft) -> None:
        del self._drafts[live.draft]
        live.end()

    def _sweep(self) -> None:
        while not self._closed.wait(SWEEP_SECONDS):
            with self._lock:
                now = time.monotonic()
                for live in self._all():
                    if live.is_idle(now):
                        self._end(live)

    def _gather_seconds(self) -> float:
        now = time.monotonic()
        if now > self._counted + COUNT_SECONDS:
            self._counted, self._num_writing_then = now, self._num_writing()
        return gather_seconds(self._num_writing_then, self._lag())

    def _num_writing(self) -> int:
        return sum(live.view.state.is_writing for live in self._all())

    # --- called by the engine, on its thread ---

    def _engine_sent(self, draft: str, event: FromEngine) -> None:
        live = self._drafts.get(draft)
        if live:
            live.engine_sent(event)

    def _model_changed(self, status: Status) -> None:
        self._menu.mark(status.model.key, status.state != "failed", status.reason, status.precision)
        self._refresh()

    def _engine_restarted(self) -> None:
        for live in self._all():
            live.engine_restarted()

    def _refresh(self) -> None:
        for live in self._all():
            live.refresh()
