"""Who hears about a draft: its room, and the order of what is sent there.

Owns the rooms and what a page must not hear before the answer to its `open`. Knows nothing of what it sends.
`publish` is called by the actors of drafts, so it never waits for a client.
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
    """An `open` whose answer is not queued yet, and what has been published since it joined."""

    draft: str
    published: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


class Broadcaster:
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
        """From here on `sid` hears what is published about `draft`, but only after `answered`."""
        with self._lock:
            self._opening[sid] = _Opening(draft)

    def answered(self, sid: str) -> None:
        """The answer to the last event of `sid` is queued: what waited for it follows."""
        with self._lock:
            opening = self._opening.pop(sid, None)
            if opening is None or not self._server.manager.is_connected(sid, NAMESPACE):
                return
            self._server.enter_room(sid, _room(opening.draft), namespace=NAMESPACE)
            for event, payload in opening.published:
                self._server.emit(event, payload, to=sid, namespace=NAMESPACE)

    def num_others(self, sid: str, draft: str) -> int:
        """How many drafts besides `draft` the connection hears about."""
        rooms = self._server.rooms(sid, namespace=NAMESPACE)
        return sum(room.startswith(_ROOM) and room != _room(draft) for room in rooms)

    def leave(self, sid: str, draft: str) -> None:
        self._server.leave_room(sid, _room(draft), namespace=NAMESPACE)

    def forget(self, sid: str) -> None:
        with self._lock:
            self._opening.pop(sid, None)

    def publish(self, draft: str, event: str, payload: dict[str, Any]) -> None:
        """Send to everybody who has the draft open; who reads too slowly is cut off."""
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
        self._server.emit(event, payload, namespace=NAMESPACE)

    def _count(self, event: str, payload: dict[str, Any]) -> None:
        if event != "updates":
            return
        for update in payload["updates"]:
            self._metrics.broadcast("user" if update["author"] == "user" else "model", len(update.get("tokens", ())))


def _room(draft: str) -> str:
    return f"{_ROOM}{draft}"
