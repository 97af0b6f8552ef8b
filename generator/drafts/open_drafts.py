"""Desk: all drafts that are open, and the one engine that writes for them.

Owns which sessions exist, hands engine events to the right one, and closes those nobody uses. Knows
nothing of sockets; `publish` reaches the pages.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from generator.drafts.group_commit import GroupCommit, RunBlocking
from generator.drafts.mailbox import collect_seconds
from generator.drafts.services import Publish, Surroundings
from generator.drafts.session import Session
from generator.models.menu import Menu
from generator.wire.messages import AlternativesReady, Chunk, Ended, EngineCommand, EngineEvent, Failed, Rolled, Status
from stories.errors import Refused, StoreError, UnknownDraft
from stories.storage.store import Store

SWEEP_SECONDS = 5.0
PROBE_SECONDS = 2.0
COUNT_SECONDS = 1.0
MAX_OPEN = 4_000

log = logging.getLogger(__name__)


class Engine(Protocol):
    """What the desk needs of `generator.engine_host.supervisor.EngineClient`."""

    @property
    def is_up(self) -> bool: ...

    @property
    def restarts(self) -> int: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def send(self, command: EngineCommand) -> None: ...


class MakeEngine(Protocol):
    def __call__(
        self,
        *,
        on_event: Callable[[EngineEvent], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
    ) -> Engine: ...


class OpenDrafts:
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
        self._store, self._run_blocking = store, run_blocking
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._statuses: dict[str, Status] = {}
        self._expected: dict[str, Future[AlternativesReady]] = {}
        self._engine = make_engine(on_event=self._engine_said, on_up=self._engine_up, on_down=self._engine_down)
        self._around = Surroundings(
            committer=GroupCommit(store, run_blocking),
            menu=menu,
            publish=publish,
            send=self._engine.send,
            engine_is_up=lambda: self._engine.is_up,
            model_status=self._statuses.get,
            expect=self._expect,
            stored_updates=functools.partial(run_blocking, store.updates),
            reacted=reacted,
            collect_seconds=self._collect_seconds,
            compute=compute,
        )
        self._lag, self._writers, self._counted = lag, 0, 0.0
        self._tokens_made = 0
        self._probed = -PROBE_SECONDS
        self._problem: str | None = None
        self._closed = threading.Event()
        self._engine.start()
        self._sweeper = threading.Thread(target=self._sweep, name="sweeper", daemon=True)
        self._sweeper.start()

    @property
    def engine_is_up(self) -> bool:
        return self._engine.is_up

    def storage_problem(self) -> str | None:
        """Why nothing can be stored just now, as a sentence; looked at every two seconds at most."""
        now = time.monotonic()
        if now > self._probed + PROBE_SECONDS:
            self._probed = now
            try:
                self._run_blocking(self._store.probe)
                self._problem = None
            except StoreError as error:
                self._problem = str(error)
        return self._problem

    def session(self, owner: str, draft: str) -> Session:
        """The draft's session, opened when needed. Raises Refused `unknown_draft`, also for another owner's, or
        `busy` where too many are open."""
        with self._lock:
            session = self._sessions.get(draft) or self._load(draft)
            if session.owner != owner:
                raise Refused("unknown_draft", "there is no such draft")
            session.touched = time.monotonic()
            self._sessions[draft] = session
        return session

    def open_session(self, draft: str) -> Session | None:
        """The draft's session if it is open already."""
        return self._sessions.get(draft)

    def disconnected(self, connection: str) -> None:
        """The connection is gone: it views nothing and holds nothing any more."""
        for session in list(self._sessions.values()):
            session.left(connection)

    def discard(self, drafts: Sequence[str], delete: Callable[[], None]) -> None:
        """Deletes drafts for good: nobody can open them again in between. Raises what `delete` does.

        They are paused before, while others may still open theirs: a pause waits for what is being stored."""
        for session in self._opened(drafts):
            session.pause()
        with self._lock:
            delete()
            for session in self._opened(drafts):
                del self._sessions[session.draft]
                session.end()

    def _opened(self, drafts: Sequence[str]) -> list[Session]:
        return [session for draft in drafts if (session := self._sessions.get(draft))]

    def discard_unused(self, drafts: Sequence[str], delete: Callable[[], bool]) -> bool:
        """Like `discard`, but only if none of them is open. Returns whether anything was deleted."""
        with self._lock:
            return not any(draft in self._sessions for draft in drafts) and delete()

    def menu_changed(self) -> None:
        for session in list(self._sessions.values()):
            session.surroundings_changed()

    def close(self) -> None:
        """Stops the engine and ends every session after what it has taken in is durable."""
        self._closed.set()
        self._sweeper.join()
        for session in list(self._sessions.values()):
            session.end()
            session.joined()
        self._engine.stop()
        self._around.committer.close()

    def _collect_seconds(self) -> float:
        now = time.monotonic()
        if now > self._counted + COUNT_SECONDS:
            self._counted, self._writers = now, self._num_writing()
        return collect_seconds(self._writers, self._lag())

    def _num_writing(self) -> int:
        return sum(session.is_writing for session in list(self._sessions.values()))

    def _load(self, draft: str) -> Session:
        try:
            stored = self._run_blocking(self._store.load, draft)
        except UnknownDraft as error:
            raise Refused("unknown_draft", "there is no such draft") from error
        except StoreError as error:
            raise Refused("storage", str(error)) from error
        if len(self._sessions) >= MAX_OPEN:
            raise Refused("busy", "too many drafts are open here; try again in a minute")
        return Session(stored, self._around)

    def _sweep(self) -> None:
        while not self._closed.wait(SWEEP_SECONDS):
            with self._lock:
                now = time.monotonic()
                idle = [session for session in self._sessions.values() if session.is_idle(now)]
                for session in idle:
                    del self._sessions[session.draft]
                    session.end()

    def _engine_said(self, event: EngineEvent) -> None:
        match event:
            case Chunk() | Ended() | Rolled() | Failed():
                self._tokens_made += len(event.tokens) if isinstance(event, Chunk) else 0
                session = self._sessions.get(event.sequence)
                if session:
                    session.engine_said(event)
            case Status():
                self._statuses[event.model.key] = event
                self._around.menu.mark(event.model.key, event.state != "failed", event.reason, event.precision)
                self.menu_changed()
            case AlternativesReady():
                waiting = self._expected.pop(event.request, None)
                if waiting:
                    waiting.set_result(event)
            case _:
                log.debug("the engine said %s", event.kind)

    def _engine_up(self) -> None:
        for session in list(self._sessions.values()):
            session.engine_up()

    def _engine_down(self, reason: str) -> None:
        log.warning("the engine is down: %s", reason)
        self._statuses.clear()
        while self._expected:
            _, waiting = self._expected.popitem()
            waiting.set_exception(Refused("engine_down", "the engine has stopped; try again in a moment"))
        self.menu_changed()

    def _expect(self, request: str) -> Future[AlternativesReady]:
        self._expected[request] = Future()
        return self._expected[request]

    def status(self) -> dict[str, Any]:
        """What metrics show."""
        committer = self._around.committer
        return {
            "engine_up": self._engine.is_up,
            "engine_restarts": self._engine.restarts,
            "engine_tokens": self._tokens_made,
            "drafts_open": len(self._sessions),
            "requests_running": self._num_writing(),
            "db_commits": committer.num_commits,
            "db_commit_seconds": committer.seconds,
            "db_batch_ops": committer.num_drafts,
        }
