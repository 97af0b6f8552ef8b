"""Broadcaster: the Socket.IO room of each draft, and the order of the events that a page receives.

Owns the rooms, and the events that a page may only receive after the answer to its `open`. Knows nothing of the content
of events. The threads of drafts call `publish`, so it never waits for a client.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import socketio  # type: ignore[import-untyped]

from web.metrics import Metrics
from web.socket_guard import NAMESPACE

_ROOM = "draft:"


@dataclass(slots=True)
class _Opening:
    """An `open` whose answer is not queued yet, and the events that were published since `join`."""

    draft: str
    published: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class Broadcaster:
    """The sender of published events. `is_slow` says whether a client reads too slowly, `drop` disconnects it."""

    def __init__(
        self,
        server: socketio.Server,
        metrics: Metrics,
        is_slow: Callable[[str], bool],
        drop: Callable[[str], None],
    ) -> None:
        self._server, self._metrics, self._is_slow, self._drop = server, metrics, is_slow, drop
        self._opening: dict[str, _Opening] = {}
        self._lock = threading.Lock()

    def join(self, sid: str, draft: str) -> None:
        """Subscribe `sid` to the draft. Events that are published before `answered` wait until then."""
        with self._lock:
            self._opening[sid] = _Opening(draft)

    def answered(self, sid: str) -> None:
        """Send the events that wait for the answer to an `open`. Call this once the answer is queued."""
        with self._lock:
            opening = self._opening.pop(sid, None)
            if opening is None or not self._server.manager.is_connected(sid, NAMESPACE):
                return
            self._server.enter_room(sid, _room(opening.draft), namespace=NAMESPACE)
            for event, payload in opening.published:
                self._server.emit(event, payload, to=sid, namespace=NAMESPACE)

    def num_others(self, sid: str, draft: str) -> int:
        """Return the number of drafts other than `draft` that the connection is subscribed to."""
        rooms = self._server.rooms(sid, namespace=NAMESPACE)
        return sum(room.startswith(_ROOM) and room != _room(draft) for room in rooms)

    def leave(self, sid: str, draft: str) -> None:
        """Unsubscribe `sid` from the draft."""
        self._server.leave_room(sid, _room(draft), namespace=NAMESPACE)

    def forget(self, sid: str) -> None:
        """Drop the events that wait for a connection that has ended."""
        with self._lock:
            self._opening.pop(sid, None)

    def publish(self, draft: str, event: str, payload: dict[str, Any]) -> None:
        """Send an event to every page that has the draft open. Disconnect the pages that read too slowly."""
        self._count(event, payload)
        room = _room(draft)
        with self._lock:
            waiting = [sid for sid, opening in self._opening.items() if opening.draft == draft]
            for sid in waiting:
                self._opening[sid].published.append((event, payload))
            self._server.emit(event, payload, to=room, skip_sid=waiting, namespace=NAMESPACE)
        for _, eio_sid in list(self._server.manager.get_participants(NAMESPACE, room)):
            if self._is_slow(eio_sid):
                self._drop(eio_sid)

    def publish_to_all(self, event: str, payload: dict[str, Any]) -> None:
        """Send an event to every connected page."""
        self._server.emit(event, payload, namespace=NAMESPACE)

    def _count(self, event: str, payload: dict[str, Any]) -> None:
        if event != "updates":
            return
        for update in payload["updates"]:
            self._metrics.broadcast("user" if update["author"] == "user" else "model", len(update.get("tokens", ())))


def _room(draft: str) -> str:
    return f"{_ROOM}{draft}"
