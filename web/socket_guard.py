"""Socket guard: the layer between a WebSocket and the story namespace, which checks and answers every packet.

Owns the decoding of packets, the allow-list of events, the limits of a connection and the sending of acknowledgements.
Knows nothing of drafts. It handles Engine.IO's messages instead of python-socketio's own dispatch. That dispatch runs
`connect` and `disconnect` if a client sends events of these names, stores any number of binary attachments and leaves
failed events unanswered.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import socketio  # type: ignore[import-untyped]
from socketio.packet import ACK, BINARY_ACK, BINARY_EVENT, CONNECT, DISCONNECT, EVENT, Packet  # type: ignore[import-untyped]

from web.addresses import Addresses, AddressUse
from web.concurrency import THREADING, cut
from web.errors import refusal
from web.metrics import Metrics
from web.threaded_websocket import ThreadedWebSocket
from web.token_bucket import TokenBucket

NAMESPACE = "/story"
_PRIVATE = ("_handle_connect", "_handle_disconnect", "_handle_eio_disconnect", "_send_packet")
_LINGER_SECONDS = 2.0
_FREE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """The limits of one connection, and the number of `connections` of the server. Rates are per second.

    `background` is the number of events that are answered in the background at a time. `queue` and `queue_bytes` limit
    the packets that are not sent yet. A page that reconnects with 1,000 keystrokes causes 1,000 packets at once, which
    must not disconnect a client. `unused_seconds` is the time within which a connection must join the namespace.
    """

    frame_bytes: int = 1_000_000
    events: float = 500
    events_burst: float = 1000
    bytes: float = 1_000_000
    bytes_burst: float = 4_000_000
    background: int = 2
    queue: int = 4096
    queue_bytes: int = 8_000_000
    connections: int = 400 if sys.platform == "win32" else 1000  # select() on Windows takes 512 sockets
    unused_seconds: float = 10


@dataclass(slots=True)
class Traffic:
    """The use that one connection has made of its limits.

    `address` is the use of its network address, which all connections from there share; None has no limits. `delay` is
    the time in seconds before its next message is read. `since` is the time of its first message or check.
    `num_background` is the number of its events that are being answered in the background.
    """

    events: TokenBucket
    bytes: TokenBucket
    address: AddressUse | None
    delay: float = 0.0
    since: float = field(default_factory=time.monotonic)
    num_background: int = 0


class TextPacket(Packet):  # type: ignore[misc]  # python-socketio has no types
    """A Socket.IO packet without binary parts.

    Decoding never raises. A packet that cannot be decoded has no `data`. It keeps the namespace and the id if those
    could be decoded, so that it can be answered.
    """

    uses_binary_events = False
    packet_type: int
    namespace: str | None
    id: int | None
    data: Any

    def decode(self, encoded_packet: str) -> int:
        self.namespace, self.data, self.id = None, None, None
        try:
            super().decode(encoded_packet)
        except (ValueError, RecursionError):
            self.data = None
        if self.packet_type in (BINARY_EVENT, BINARY_ACK):
            self.packet_type = EVENT if self.packet_type == BINARY_EVENT else ACK
            self.data = None
        return 0


class Answer(Protocol):
    """A function that handles an event and returns its acknowledgement."""

    def __call__(self, sid: str, event: str, data: Mapping[str, Any], /) -> dict[str, Any]: ...


class SocketGuard:
    """The handler of every Engine.IO message and disconnection of a server."""

    def __init__(self, server: socketio.Server, limits: SocketLimits, addresses: Addresses, metrics: Metrics) -> None:
        for name in _PRIVATE:
            if not callable(getattr(server, name, None)):
                raise RuntimeError(
                    f"The installed python-socketio has no {name}. Install the version in requirements.txt."
                )
        self._server, self._limits, self._addresses, self._metrics = server, limits, addresses, metrics
        self._events: frozenset[str] = frozenset()
        self._background: frozenset[str] = frozenset()
        server.eio.on("message", self.message)
        server.eio.on("disconnect", self.disconnected)
        if server.eio.async_mode == THREADING:
            server.eio._async = {**server.eio._async, "websocket": ThreadedWebSocket}

    def answer_with(
        self, events: Collection[str], background: Collection[str], answer: Answer, answered: Callable[[str], None]
    ) -> None:
        """Set the known events and their handler.

        `answer` returns the acknowledgement of an event. `answered(sid)` is called once it is queued. The events in
        `background` may take long: each is answered in a task of its own, and `answered` is not called.
        """
        self._events, self._background = frozenset(events), frozenset(background)
        self._answer, self._answered = answer, answered

    def message(self, eio_sid: str, data: str | bytes) -> None:
        """Handle one Engine.IO message. The messages of a client are handled in their order."""
        traffic = self._traffic(eio_sid)
        if traffic is None:
            return
        debt = traffic.bytes.borrow(len(data))
        if traffic.address is not None:
            debt = max(debt, traffic.address.owe(len(data)))
        if debt:
            self._server.sleep(min(debt, 5.0))
        if isinstance(data, str):
            self._packet(eio_sid, TextPacket(encoded_packet=data), traffic)
        else:
            self._metrics.reject("binary")
        if self.is_slow(eio_sid):
            self.drop(eio_sid)
        # A client that sends without a break must not block the other clients.
        self._server.sleep(min(traffic.delay, 5.0))
        traffic.delay = 0.0

    def charge(self, sid: str, seconds: float) -> None:
        """Delay the next message of `sid` by ten times the `seconds` for which its last one blocked the event loop."""
        eio_sid = self._server.manager.eio_sid_from_sid(sid, NAMESPACE)
        if seconds > _FREE_SECONDS and (traffic := self._traffic(eio_sid)) is not None:
            traffic.delay += 10 * seconds

    def disconnected(self, eio_sid: str, reason: str) -> None:
        """Handle the end of a connection in Engine.IO.

        The TCP connection is cut as well. Otherwise, a client that neither reads nor disconnects would keep the tasks
        that read from it and write to it.
        """
        environ = self._server.environ.get(eio_sid)
        self._server._handle_eio_disconnect(eio_sid, reason)
        if environ is not None:
            self._server.start_background_task(self._cut_later, environ)

    def _cut_later(self, environ: dict[str, Any]) -> None:
        self._server.sleep(_LINGER_SECONDS)  # until the last packets have reached the client
        cut(environ)

    def is_slow(self, eio_sid: str) -> bool:
        """Whether the queue of unsent packets is longer than that of a client that reads."""
        connection = self._server.eio.sockets.get(eio_sid)
        if connection is None or (waiting := connection.queue.qsize()) <= 16:
            return False
        if waiting > self._limits.queue:
            return True
        packets = list(connection.queue.queue)
        return sum(len(packet.data or "") for packet in packets if packet is not None) > self._limits.queue_bytes

    def drop(self, eio_sid: str) -> None:
        """Disconnect a slow client at once. It may reconnect and continue from its revision."""
        self._metrics.slow.inc()
        self.close(eio_sid)

    def close(self, eio_sid: str) -> None:
        """Close a connection without waiting for unsent packets."""
        environ = self._server.environ.get(eio_sid)
        connection = self._server.eio.sockets.get(eio_sid)
        if connection is not None:
            connection.close(wait=False, abort=True)
        if environ is not None:
            cut(environ)

    def close_all(self) -> None:
        """Close all connections."""
        for eio_sid in list(self._server.eio.sockets):
            self.close(eio_sid)

    def is_full(self) -> bool:
        """Whether the server has its maximum of connections."""
        return len(self._server.eio.sockets) >= self._limits.connections

    def sweep(self) -> None:
        """Close the connections that have not joined the namespace within `unused_seconds`."""
        for eio_sid in list(self._server.eio.sockets):
            traffic = self._traffic(eio_sid)
            if traffic is None or self._server.manager.sid_from_eio_sid(eio_sid, NAMESPACE) is not None:
                continue
            if time.monotonic() - traffic.since > self._limits.unused_seconds:
                self._metrics.reject("unused")
                self.close(eio_sid)

    def _traffic(self, eio_sid: str) -> Traffic | None:
        connection = self._server.eio.sockets.get(eio_sid)
        if connection is None or connection.closed:
            return None
        limits = self._limits
        if (traffic := connection.session.get("traffic")) is None:
            traffic = Traffic(
                TokenBucket(limits.events, limits.events_burst),
                TokenBucket(limits.bytes, limits.bytes_burst),
                self._addresses.of(self._server.environ.get(eio_sid, {})),
            )
            connection.session["traffic"] = traffic
        known: Traffic = traffic
        return known

    def _packet(self, eio_sid: str, packet: TextPacket, traffic: Traffic) -> None:
        alldelay = traffic.events.take()
        if packet.packet_type == EVENT and packet.namespace == NAMESPACE:
            self._event(eio_sid, packet, traffic, alldelay)
        elif packet.packet_type == CONNECT and alldelay:
            self._server._handle_connect(eio_sid, packet.namespace, packet.data)
        elif packet.packet_type == DISCONNECT and alldelay:
            self._server._handle_disconnect(eio_sid, packet.namespace, self._server.reason.CLIENT_DISCONNECT)
        else:
            self._metrics.reject("packet")

    def _event(self, eio_sid: str, packet: TextPacket, traffic: Traffic, alldelay: bool) -> None:
        sid = self._server.manager.sid_from_eio_sid(eio_sid, NAMESPACE)
        problem = self._problem(packet, traffic, alldelay, sid)
        if problem is not None:
            self._metrics.reject(problem[0])
            self._acknowledge(eio_sid, packet, refusal(*problem))
        elif packet.data[0] in self._background:
            traffic.num_background += 1
            self._server.start_background_task(self._respond_in_background, eio_sid, sid, packet, traffic)
        else:
            self._respond(eio_sid, sid, packet)
            self._answered(str(sid))

    def _problem(self, packet: TextPacket, traffic: Traffic, alldelay: bool, sid: str | None) -> tuple[str, str] | None:
        if not alldelay:
            return "rate_limited", "Too many events were sent at once. Wait a moment and try again."
        if sid is None or not self._server.manager.is_connected(sid, NAMESPACE):
            return "protocol", f"This connection has not joined {NAMESPACE}. Connect to it first."
        data = packet.data
        if not isinstance(data, list) or not data or not isinstance(data[0], str):
            return "invalid", "An event must be a list of its name and one object."
        if data[0] not in self._events:
            return "invalid", f"There is no event {data[0][:40]!a}. Use an event of the protocol."
        if len(data) != 2 or not isinstance(data[1], dict):
            return "invalid", f"{data[0]} takes exactly one object."
        if data[0] in self._background and traffic.num_background >= self._limits.background:
            return "busy", f"Wait for the answers to the earlier {data[0]} events."
        return None

    def _respond(self, eio_sid: str, sid: str | None, packet: TextPacket) -> None:
        assert sid is not None
        event, payload = packet.data
        began = time.monotonic()
        body = self._answer(sid, event, payload)
        self._acknowledge(eio_sid, packet, body)
        result = "ok" if body["ok"] else body["error"]["code"]
        self._metrics.answered(event, result, time.monotonic() - began)

    def _respond_in_background(self, eio_sid: str, sid: str | None, packet: TextPacket, traffic: Traffic) -> None:
        try:
            self._respond(eio_sid, sid, packet)
        finally:
            traffic.num_background -= 1

    def _acknowledge(self, eio_sid: str, packet: TextPacket, body: dict[str, Any]) -> None:
        if packet.id is None:
            return
        answer = TextPacket(ACK, namespace=packet.namespace, id=packet.id, data=[body])
        self._server._send_packet(eio_sid, answer)
