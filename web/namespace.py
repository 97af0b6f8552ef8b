"""Story namespace: the events of the Socket.IO namespace `/story`, and the call of a live draft that each one makes.

Owns the table of events and the table of connected pages. Knows nothing of packets and rate limits (`socket_guard.py`),
nor of how a live draft does its work.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flask import request
from flask_socketio import ConnectionRefusedError, Namespace  # type: ignore[import-untyped]

from stories.errors import Refused
from web import payloads
from web.broadcaster import Broadcaster
from web.client_ids import ClientIds
from web.errors import UNEXPECTED, refusal
from web.metrics import Metrics
from web.owner import Owners
from web.payloads import parse
from web.socket_guard import NAMESPACE

if TYPE_CHECKING:
    from generator.drafts.live_draft import LiveDraft
    from generator.drafts.open_drafts import OpenDrafts

PROTOCOL = 1
MAX_CONNECTIONS_PER_OWNER = 40
MAX_DRAFTS_PER_CONNECTION = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class PageConnection:
    """A connected page. `sid` is its Socket.IO id, `owner` the owner of its stories."""

    sid: str
    owner: str


class StoryNamespace(Namespace):  # type: ignore[misc]  # Flask-SocketIO has no types
    """The handlers of the namespace. Each event ends at a live draft.

    `is_full` says whether the server accepts no more connections. `charge(sid, seconds)` delays a client whose payload
    took long to check.
    """

    def __init__(
        self,
        drafts: OpenDrafts,
        owners: Owners,
        broadcaster: Broadcaster,
        metrics: Metrics,
        is_full: Callable[[], bool],
        charge: Callable[[str, float], None],
    ) -> None:
        super().__init__(NAMESPACE)
        self._drafts, self._owners, self._broadcaster = drafts, owners, broadcaster
        self._metrics, self._is_full, self._charge = metrics, is_full, charge
        self._clients = ClientIds()
        self._connections: dict[str, PageConnection] = {}
        self._lock = threading.Lock()

    # --- called by Flask-SocketIO; no client event reaches these two ---

    def on_connect(self, auth: object = None) -> None:
        try:
            owner = self._admit(auth)
        except Refused as refused:
            self._metrics.connects.labels(refused.code).inc()
            raise ConnectionRefusedError(refused.message, {"code": refused.code}) from refused
        sid: str = request.sid  # type: ignore[attr-defined]
        with self._lock:
            self._connections[sid] = PageConnection(sid, owner)
        self._metrics.connects.labels("ok").inc()
        self._metrics.connections.inc()

    def on_disconnect(self, reason: object = None) -> None:
        sid: str = request.sid  # type: ignore[attr-defined]
        with self._lock:
            known = self._connections.pop(sid, None)
        if known is not None:
            self._metrics.connections.dec()
            # In the background, because a draft's thread may be the caller: it disconnects pages that read slowly.
            self.socketio.start_background_task(self._forget, sid)

    def _admit(self, auth: object) -> str:
        """Return the owner of a new connection. Raise Refused if it may not connect."""
        try:
            version = parse(payloads.Auth, auth, "The auth data").protocol
        except Refused as refused:
            raise Refused("protocol", f"The auth data must be {{protocol: {PROTOCOL}}}.") from refused
        if version != PROTOCOL:
            raise Refused("protocol", f"This server has protocol version {PROTOCOL}; reload the page.")
        owner = self._owners.of(request.cookies)
        if owner is None:
            raise Refused("protocol", "The owner cookie is missing; reload the page.")
        mine = sum(connection.owner == owner for connection in list(self._connections.values()))
        if mine >= MAX_CONNECTIONS_PER_OWNER or self._is_full():
            raise Refused("busy", "Too many pages are open. Close one and try again.")
        return owner

    def _forget(self, sid: str) -> None:
        self._broadcaster.forget(sid)
        self._drafts.disconnected(sid)

    # --- called by the socket guard, for the events in EVENTS, with one object each ---

    def answer(self, sid: str, event: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """Handle an event and return its acknowledgement. Errors are returned, never raised."""
        connection = self._connections.get(sid)
        if connection is None:
            return refusal("protocol", "This connection is closed. Reload the page.")
        known_event = EVENTS[event]
        try:
            began = time.monotonic()
            payload: Any = parse(known_event.payload, data)
            self._charge(sid, time.monotonic() - began)
            return {"ok": True, **known_event.handle(self, connection, payload)}
        except Refused as refused:
            return refusal(refused.code, refused.message)
        except Exception:
            log.exception("%s failed", event)
            return refusal("storage", UNEXPECTED)

    def _live_draft(self, connection: PageConnection, draft: str) -> LiveDraft:
        return self._drafts.live_draft(connection.owner, draft)

    def open(self, connection: PageConnection, payload: payloads.OpenRequest) -> dict[str, Any]:
        live_draft = self._live_draft(connection, payload.draft)
        if self._broadcaster.num_others(connection.sid, payload.draft) >= MAX_DRAFTS_PER_CONNECTION:
            raise Refused("busy", "Too many drafts are open on this page. Close one and try again.")
        join = functools.partial(self._broadcaster.join, connection.sid, payload.draft)
        return live_draft.open(connection.sid, payload.revision, join)

    def close(self, connection: PageConnection, payload: payloads.CloseRequest) -> dict[str, Any]:
        self._broadcaster.leave(connection.sid, payload.draft)
        self._live_draft(connection, payload.draft).close(connection.sid)
        return {}

    def edit(self, connection: PageConnection, payload: payloads.EditRequest) -> dict[str, Any]:
        live_draft = self._live_draft(connection, payload.draft)
        if not self._clients.claim(payload.client, connection.owner):
            raise Refused("invalid", "This client id belongs to another owner. Create a new client id.")
        updates = [(update.changes, update.authors) for update in payload.updates]
        return live_draft.edit(connection.sid, payload.client, payload.revision, updates)

    def hold(self, connection: PageConnection, payload: payloads.HoldRequest) -> dict[str, Any]:
        self._live_draft(connection, payload.draft).hold(connection.sid, payload.composing)
        return {}

    def start(self, connection: PageConnection, payload: payloads.StartRequest) -> dict[str, Any]:
        return self._live_draft(connection, payload.draft).start(payload.limit)

    def pause(self, connection: PageConnection, payload: payloads.PauseRequest) -> dict[str, Any]:
        return self._live_draft(connection, payload.draft).pause()

    def configure(self, connection: PageConnection, payload: payloads.ConfigureRequest) -> dict[str, Any]:
        changes = payloads.given(payload)
        return self._live_draft(connection, changes.pop("draft")).configure(changes)

    def rewind(self, connection: PageConnection, payload: payloads.RewindRequest) -> dict[str, Any]:
        return self._live_draft(connection, payload.draft).rewind(payload.revision, payload.from_)

    def retry(self, connection: PageConnection, payload: payloads.RetryRequest) -> dict[str, Any]:
        return self._live_draft(connection, payload.draft).retry(payload.revision)

    def alternatives(self, connection: PageConnection, payload: payloads.AlternativesRequest) -> dict[str, Any]:
        return self._live_draft(connection, payload.draft).alternatives(payload.revision, payload.at)

    def seen(self, connection: PageConnection, payload: payloads.SeenRequest) -> dict[str, Any]:
        self._live_draft(connection, payload.draft).seen(connection.sid, payload.revision)
        return {}


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """An event of the protocol: the shape of its payload and its handler.

    An event with `background` may take long. It is answered in a task of its own, so that the next events of the
    connection do not wait.
    """

    payload: type
    handle: Callable[[StoryNamespace, PageConnection, Any], dict[str, Any]]
    background: bool = False


EVENTS: Mapping[str, ClientEvent] = {
    "open": ClientEvent(payloads.OpenRequest, StoryNamespace.open),
    "close": ClientEvent(payloads.CloseRequest, StoryNamespace.close),
    "edit": ClientEvent(payloads.EditRequest, StoryNamespace.edit),
    "hold": ClientEvent(payloads.HoldRequest, StoryNamespace.hold),
    "start": ClientEvent(payloads.StartRequest, StoryNamespace.start),
    "pause": ClientEvent(payloads.PauseRequest, StoryNamespace.pause),
    "configure": ClientEvent(payloads.ConfigureRequest, StoryNamespace.configure),
    "rewind": ClientEvent(payloads.RewindRequest, StoryNamespace.rewind),
    "retry": ClientEvent(payloads.RetryRequest, StoryNamespace.retry),
    "alternatives": ClientEvent(payloads.AlternativesRequest, StoryNamespace.alternatives, background=True),
    "seen": ClientEvent(payloads.SeenRequest, StoryNamespace.seen),
}
