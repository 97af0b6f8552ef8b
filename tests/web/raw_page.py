"""Raw page: a client reduced to its socket, which can send malformed packets and records the answers.

Owns Engine.IO's and Socket.IO's framing, written by hand so that the tests do not share the server's code.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import websocket

Json = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(port: int, method: str, path: str, body: bytes | str | None = None, **headers: str) -> Reply:
    """Send one HTTP request. Underscores in header names stand for hyphens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        data = body.encode() if isinstance(body, str) else body
        if data is not None:
            connection.putheader("Content-Length", str(len(data)))
        connection.endheaders(data)
        response = connection.getresponse()
        return Reply(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def cookie_of(port: int) -> str:
    """Return a new cookie of the server, as `name=value`."""
    return ask(port, "GET", "/livez").headers["Set-Cookie"].partition(";")[0]


class RawPage:
    """One WebSocket connection, used as a context manager. `connect=False` omits the namespace's CONNECT."""

    def __init__(self, port: int, cookie: str | None = None, connect: bool = True, **options: Any) -> None:
        url = f"ws://127.0.0.1:{port}/socket.io/?EIO=4&transport=websocket"
        self.socket = websocket.create_connection(
            url, timeout=20, cookie=cookie, origin=f"http://127.0.0.1:{port}", **options
        )
        self._tcp = self.socket.sock  # websocket-client drops it without closing it when the server hangs up
        self.events: list[tuple[str, Json]] = []
        self.acks: dict[int, Json] = {}
        self.log: list[str] = []  # "ack 3" and "event updates", in the order they came
        self.connected: Json | None = None
        self.refused: Json | None = None
        self._id = 0
        if connect:
            self.send('40/story,{"protocol":1}')
            self.read_until(lambda: self.connected is not None or self.refused is not None)

    def __enter__(self) -> RawPage:
        return self

    def __exit__(self, *error: object) -> None:
        if self._tcp is not None:
            self._tcp.close()

    def send(self, message: str) -> None:
        self.socket.send(message)

    def emit(self, event: str, data: Any) -> int:
        """Send an event with an id, and return the id."""
        self._id += 1
        self.send(f"42/story,{self._id}{json.dumps([event, data])}")
        return self._id

    def call(self, event: str, data: Any) -> Json:
        return self.ack(self.emit(event, data))

    def ack(self, wanted: int) -> Json:
        self.read_until(lambda: wanted in self.acks)
        return self.acks[wanted]

    def read_until(self, holds: Any, seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise TimeoutError(f"The condition was not met. Received last: {self.log[-20:]}")
            self.read()

    def read(self) -> None:
        message = self.socket.recv()
        assert isinstance(message, str), "the server sends text only"
        kind, _, rest = message.partition("/story,")
        if message == "":
            raise ConnectionError("the server hung up")
        if kind == "2":
            self.send("3")
        elif kind == "40":
            self.connected = json.loads(rest)
        elif kind == "44":
            self.refused = json.loads(rest) if rest else None
        elif kind == "43":
            self._take_ack(rest)
        elif kind == "42":
            event, data = json.loads(rest)
            self.events.append((event, data))
            self.log.append(f"event {event}")

    def _take_ack(self, rest: str) -> None:
        start = rest.index("[")
        number = int(rest[:start])
        (self.acks[number],) = json.loads(rest[start:])
        self.log.append(f"ack {number}")

    def is_hung_up(self, seconds: float = 20) -> bool:
        """Whether the server ends this connection within `seconds`."""
        try:
            self.read_until(lambda: False, seconds)
        except (ConnectionError, websocket.WebSocketException, OSError) as error:
            return not isinstance(error, TimeoutError)
        return False
