"""Connection: the engine's end of the socket to the web process.

Owns the reader thread: commands are handed on, pings are answered at once, and the end of the
connection, which is the parent's death, ends the process even in the middle of a step.
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
    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self._socket.settimeout(None)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sending = threading.Lock()

    def send(self, event: EngineEvent) -> None:
        """May be called from any thread. If nobody is there any more, the process ends."""
        try:
            with self._sending:
                write_frame(self._socket, encode(event))
        except ConnectionClosed:
            leave(EXIT_PARENT_GONE)

    def start_reading(self, on_command: Callable[[EngineCommand], None]) -> None:
        """`on_command` is called on the reader thread, for every command but `Ping`."""
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
            leave(EXIT_MALFORMED, f"the web process sent something malformed: {kind_and_place(error)}")


def leave(code: int, reason: str = "") -> None:
    """End the process from whatever thread notices that it must end. Its parent's end needs no words: it was told to
    stop, or cannot read them any more."""
    if reason:
        log(reason)
    sys.stderr.flush()
    os._exit(code)
