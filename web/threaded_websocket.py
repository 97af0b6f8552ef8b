"""The WebSocket of threading mode, with bounds that simple-websocket leaves out.

Owns how many received messages may wait to be handled: past that it stops reading, so that TCP slows the
sender down. Knows nothing of what the messages mean.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import simple_websocket  # type: ignore[import-untyped]
from engineio.async_drivers._websocket_wsgi import SimpleWebSocketWSGI  # type: ignore[import-untyped]

MAX_WAITING = 64
_PACKETS = "0123456"


class _BoundedServer(simple_websocket.Server):  # type: ignore[misc]  # it has no types
    def __init__(self, environ: dict[str, Any], max_message_size: int) -> None:
        self._room = threading.Condition()
        super().__init__(environ, max_message_size=max_message_size)

    def receive(self, timeout: float | None = None) -> Any:
        message = super().receive(timeout)
        with self._room:
            self._room.notify()
        return message

    def _handle_events(self) -> bool:
        goes_on: bool = super()._handle_events()
        with self._room:
            while goes_on and self.connected and len(self.input_buffer) > MAX_WAITING:
                self._room.wait(1.0)
        return goes_on


class ThreadedWebSocket(SimpleWebSocketWSGI):  # type: ignore[misc]  # python-engineio has no types
    """What Engine.IO asks for a WebSocket, as its own class for this mode, but bounded."""

    def __init__(self, handler: Callable[[Any], Any], server: Any) -> None:
        super().__init__(handler, server)
        self._max_message_size = int(server.max_http_buffer_size)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        self.ws = _BoundedServer(environ, self._max_message_size)
        self.app(self)
        raise ConnectionError  # tells Werkzeug's server that there is nothing more to answer

    def wait(self) -> Any:
        """The next message; None, which ends the connection, also for text that is no Engine.IO packet: Engine.IO
        would raise, and leave the connection half open."""
        message = super().wait()
        if isinstance(message, str) and (not message or message[0] not in _PACKETS):
            return None
        return message

    def close(self) -> None:
        with suppress(OSError):  # cut already
            super().close()
