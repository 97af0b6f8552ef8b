"""Threaded WebSocket: the WebSocket of threading mode, with a limit that simple-websocket does not have.

Owns the limit of received messages that wait to be handled. Above the limit it stops reading, so that TCP slows the
sender down. Knows nothing of the meaning of messages.
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


class _BoundedServer(simple_websocket.Server):  # type: ignore[misc]  # simple-websocket has no types
    """A WebSocket that stops reading while more than `MAX_WAITING` messages wait."""

    def __init__(self, environ: dict[str, Any], max_message_size: int) -> None:
        self._has_space = threading.Condition()
        super().__init__(environ, max_message_size=max_message_size)

    def receive(self, timeout: float | None = None) -> Any:
        message = super().receive(timeout)
        with self._has_space:
            self._has_space.notify()
        return message

    def _handle_events(self) -> bool:
        is_open: bool = super()._handle_events()
        with self._has_space:
            while is_open and self.connected and len(self.input_buffer) > MAX_WAITING:
                self._has_space.wait(1.0)
        return is_open


class ThreadedWebSocket(SimpleWebSocketWSGI):  # type: ignore[misc]  # python-engineio has no types
    """A replacement of Engine.IO's WebSocket class for threading mode, with a limit of waiting messages."""

    def __init__(self, handler: Callable[[Any], Any], server: Any) -> None:
        super().__init__(handler, server)
        self._max_message_size = int(server.max_http_buffer_size)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        self.ws = _BoundedServer(environ, self._max_message_size)
        self.app(self)
        raise ConnectionError  # tells Werkzeug's server to send no response

    def wait(self) -> Any:
        """Return the next message, or None to end the connection.

        Text that is no Engine.IO packet also ends the connection. Engine.IO would raise and leave it half open.
        """
        message = super().wait()
        if isinstance(message, str) and (not message or message[0] not in _PACKETS):
            return None
        return message

    def close(self) -> None:
        """Close the connection, which may be cut already."""
        with suppress(OSError):
            super().close()
