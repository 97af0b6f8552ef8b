"""The conversation with one running engine: reads its events, writes commands, keeps both sides talking.

Owns the reader's and the writer's side of one connection, from the greeting to its end. Knows nothing of starting
an engine or of starting it again.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from generator.engine_host.outbox import Outbox, OutboxFull
from generator.wire.frames import ConnectionClosed, MalformedFrame, read_frame, write_frame
from generator.wire.messages import EngineCommand, EngineEvent, Imported, MalformedMessage, Ping, Ready, decode, encode

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineTimeouts:
    """How long to wait for an engine, in seconds: for its imports, between pings, and for any sign of life."""

    imports: float = 180.0
    ping: float = 2.0
    silence: float = 30.0


class EngineConnection:
    """Events are read on the thread that calls `run`; commands are written by a thread of its own."""

    def __init__(self, connection: socket.socket, limits: EngineTimeouts) -> None:
        self._connection, self._limits = connection, limits
        self._outbox = Outbox()
        self._writers_reason: str | None = None

    def send(self, command: EngineCommand) -> None:
        """Never waits."""
        self._outbox.put(command)

    def shut(self) -> None:
        """Wake whoever reads or writes; both then find the connection closed."""
        with suppress(OSError):  # closed or broken already
            self._connection.shutdown(socket.SHUT_RDWR)

    def run(self, on_event: Callable[[EngineEvent], None]) -> str | None:
        """Hand over events until the connection ends. Returns why, as a sentence; None where it just closed."""
        writer = threading.Thread(target=self._write, name="engine-writer", daemon=True)
        try:
            reason = self._read(on_event, writer)
        finally:
            self._outbox.close()
            self.shut()
            if writer.ident is not None:
                writer.join()
        return self._writers_reason or reason

    def _read(self, on_event: Callable[[EngineEvent], None], writer: threading.Thread) -> str | None:
        self._connection.settimeout(self._limits.imports)
        try:
            while True:
                event = decode(read_frame(self._connection))
                if not isinstance(event, EngineEvent):
                    raise MalformedMessage(f"{event.kind} is no event")
                if isinstance(event, Ready) and writer.ident is None:
                    writer.start()
                if isinstance(event, Imported):
                    # While libraries are loaded nothing else of that process may run; from here on silence means that
                    # it hangs.
                    self._connection.settimeout(self._limits.silence)
                on_event(event)
                time.sleep(0)  # under eventlet a socket that always has data would let nobody else run
        except TimeoutError:
            return "The writing engine does not answer."
        except ConnectionClosed:
            return None
        except (MalformedFrame, MalformedMessage) as error:
            return f"The writing engine sent something that is no message ({error})."

    def _write(self) -> None:
        next_ping = time.monotonic()
        try:
            while (commands := self._outbox.take(next_ping - time.monotonic())) is not None:
                for command in commands:
                    self._write_one(command)
                if time.monotonic() >= next_ping:
                    write_frame(self._connection, encode(Ping()))
                    next_ping = time.monotonic() + self._limits.ping
        except (OutboxFull, TimeoutError):
            self._writers_reason = "The writing engine takes no commands."
        except ConnectionClosed:
            log.debug("the engine closed its connection")  # the reader finds the same, and says why
        self.shut()

    def _write_one(self, command: EngineCommand) -> None:
        try:
            write_frame(self._connection, encode(command))
        except MalformedFrame as error:  # trying again, or starting another engine, would not make it fit
            log.error("a %s command cannot be sent to the writing engine: %s", command.kind, error)
