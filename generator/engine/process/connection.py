"""Connection: the engine's end of the socket to the web process.

Owns the reader thread, which hands over commands and answers pings at once. The end of the connection means that the
web process is gone, so it ends the engine process, even during a step. Knows nothing of what commands do.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Callable

from generator.engine.process.log import kind_and_place, log
from generator.wire.frames import ConnectionClosed, FrameError, read_frame, write_frame
from generator.wire.messages import EngineCommand, EngineEvent, MalformedMessage, Ping, Pong, decode, encode

EXIT_PARENT_GONE = 0
EXIT_MALFORMED = 4


class ParentConnection:
    """A connection to `port` on loopback. Raises OSError if the web process does not listen there."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sending = threading.Lock()

    def send(self, event: EngineEvent) -> None:
        """Send an event, on any thread. End the process if the connection is closed."""
        try:
            with self._sending:
                write_frame(self._socket, encode(event))
        except ConnectionClosed:
            leave(EXIT_PARENT_GONE)

    def start_reading(self, on_command: Callable[[EngineCommand], None]) -> None:
        """Start the reader thread, which calls `on_command` for every command except `Ping`."""
        threading.Thread(target=self._read, args=(on_command,), name="reader", daemon=True).start()

    def _read(self, on_command: Callable[[EngineCommand], None]) -> None:
        try:
            while True:
                message = decode(read_frame(self._socket))
                if isinstance(message, Ping):
                    self.send(Pong())
                elif isinstance(message, EngineCommand):
                    on_command(message)
                else:
                    raise MalformedMessage(f"{message.kind} is not a command")
        except ConnectionClosed:
            leave(EXIT_PARENT_GONE)
        except (FrameError, MalformedMessage) as error:
            leave(EXIT_MALFORMED, f"The web process sent a malformed message: {kind_and_place(error)}")


def leave(code: int, reason: str = "") -> None:
    """End the process at once, on any thread, and log the reason.

    The end of the parent process needs no reason: the engine was told to stop, or the log has no reader any more.
    """
    if reason:
        log(reason)
    sys.stderr.flush()
    os._exit(code)
