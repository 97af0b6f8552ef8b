"""The `/story` namespace: which events there are, and what each asks of a session.

Owns the table of events and who is connected. Knows nothing of packets and limits (`socket_guard.py`), nor
of how a session does what it is asked.
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
    """One page: `sid` is Socket.IO's id of it."""

    sid: str
    owner: str


class StoryNamespace(Namespace):  # type: ignore[misc]  # Flask-SocketIO has no types
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
            # Aside, since this may run in the turn of a draft's actor, which cut off a slow reader.
            self.socketio.start_background_task(self._forget, sid)

    def _admit(self, auth: object) -> str:
        """The owner of a new connection. Raises Refused."""
        try:
            spoken = parse(payloads.Auth, auth, "auth").protocol
        except Refused as refused:
            raise Refused("protocol", f"auth must be {{protocol: {PROTOCOL}}}.") from refused
        if spoken != PROTOCOL:
            raise Refused("protocol", f"This server speaks protocol {PROTOCOL}; load the page again.")
        owner = self._owners.of(request.cookies)
        if owner is None:
            raise Refused("protocol", "The cookie is missing that says whose stories these are; load the page again.")
        mine = sum(connection.owner == owner for connection in list(self._connections.values()))
        if mine >= MAX_CONNECTIONS_PER_OWNER or self._is_full():
            raise Refused("busy", "Too many pages are open; close one.")
        return owner

    def _forget(self, sid: str) -> None:
        self._broadcaster.forget(sid)
        self._drafts.disconnected(sid)

    # --- called by the guard, with events of EVENTS and one object each ---

    def answer(self, sid: str, event: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """The acknowledgement of an event; never raises."""
        connection = self._connections.get(sid)
        if connection is None:
            return refusal("protocol", "This connection is closed.")
        kind = EVENTS[event]
        try:
            began = time.monotonic()
            asked: Any = parse(kind.payload, data)
            self._charge(sid, time.monotonic() - began)
            return {"ok": True, **kind.handle(self, connection, asked)}
        except Refused as refused:
            return refusal(refused.code, refused.message)
        except Exception:
            log.exception("%s failed", event)
            return refusal("storage", UNEXPECTED)

    def _live_draft(self, connection: PageConnection, draft: str) -> LiveDraft:
        return self._drafts.live_draft(connection.owner, draft)

    def open(self, connection: PageConnection, asked: payloads.OpenRequest) -> dict[str, Any]:
        live_draft = self._live_draft(connection, asked.draft)
        if self._broadcaster.num_others(connection.sid, asked.draft) >= MAX_DRAFTS_PER_CONNECTION:
            raise Refused("busy", "Too many drafts are open on this page; close one.")
        join = functools.partial(self._broadcaster.join, connection.sid, asked.draft)
        return live_draft.open(connection.sid, asked.revision, join)

    def close(self, connection: PageConnection, asked: payloads.CloseRequest) -> dict[str, Any]:
        self._broadcaster.leave(connection.sid, asked.draft)
        self._live_draft(connection, asked.draft).close(connection.sid)
        return {}

    def edit(self, connection: PageConnection, asked: payloads.EditRequest) -> dict[str, Any]:
        live_draft = self._live_draft(connection, asked.draft)
        if not self._clients.claim(asked.client, connection.owner):
            raise Refused("invalid", "client is in use by somebody else; make a new one.")
        updates = [(update.changes, update.authors) for update in asked.updates]
        return live_draft.edit(connection.sid, asked.client, asked.revision, updates)

    def hold(self, connection: PageConnection, asked: payloads.HoldRequest) -> dict[str, Any]:
        self._live_draft(connection, asked.draft).hold(connection.sid, asked.composing)
        return {}

    def start(self, connection: PageConnection, asked: payloads.StartRequest) -> dict[str, Any]:
        return self._live_draft(connection, asked.draft).start(asked.limit)

    def pause(self, connection: PageConnection, asked: payloads.PauseRequest) -> dict[str, Any]:
        return self._live_draft(connection, asked.draft).pause()

    def configure(self, connection: PageConnection, asked: payloads.ConfigureRequest) -> dict[str, Any]:
        changes = payloads.given(asked)
        return self._live_draft(connection, changes.pop("draft")).configure(changes)

    def rewind(self, connection: PageConnection, asked: payloads.RewindRequest) -> dict[str, Any]:
        return self._live_draft(connection, asked.draft).rewind(asked.revision, asked.from_)

    def retry(self, connection: PageConnection, asked: payloads.RetryRequest) -> dict[str, Any]:
        return self._live_draft(connection, asked.draft).retry(asked.revision)

    def alternatives(self, connection: PageConnection, asked: payloads.AlternativesRequest) -> dict[str, Any]:
        return self._live_draft(connection, asked.draft).alternatives(asked.revision, asked.at)

    def seen(self, connection: PageConnection, asked: payloads.SeenRequest) -> dict[str, Any]:
        self._live_draft(connection, asked.draft).seen(connection.sid, asked.revision)
        return {}


@dataclass(frozen=True, slots=True)
class ClientEvent:
    """`aside`: may take long, so it is answered without keeping the connection's next events waiting."""

    payload: type
    handle: Callable[[StoryNamespace, PageConnection, Any], dict[str, Any]]
    aside: bool = False


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
    "alternatives": ClientEvent(payloads.AlternativesRequest, StoryNamespace.alternatives, aside=True),
    "seen": ClientEvent(payloads.SeenRequest, StoryNamespace.seen),
}
