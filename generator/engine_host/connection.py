"""Connection: the web process's end of the socket to one engine.

Owns the reading of events, the writing of commands and pings, and the timeouts, from the greeting to the end of the
connection. Knows nothing of how an engine is started or restarted.
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
    """The timeouts of a connection, in seconds.

    `imports` is the longest silence until the engine has imported its libraries, and `silence` the longest one
    afterwards. `ping` is the time between two pings.
    """

    imports: float = 180.0
    ping: float = 2.0
    silence: float = 30.0


class EngineConnection:
    """A connection to an engine that has passed the greeting.

    Events are read on the thread that calls `run`. A second thread writes the commands.
    """

    def __init__(self, connection: socket.socket, timeouts: EngineTimeouts) -> None:
        self._connection, self._timeouts = connection, timeouts
        self._outbox = Outbox()
        self._write_failure: str | None = None

    def send(self, command: EngineCommand) -> None:
        """Send a command without waiting."""
        self._outbox.put(command)

    def shut_down(self) -> None:
        """End the connection, so that the reading and the writing thread wake and end."""
        with suppress(OSError):  # the connection may be closed or broken already
            self._connection.shutdown(socket.SHUT_RDWR)

    def run(self, on_event: Callable[[EngineEvent], None]) -> str | None:
        """Call `on_event` for each event until the connection ends.

        Return the reason of the end as a sentence for the user, or None if the engine closed the connection.
        """
        writer = threading.Thread(target=self._write, name="engine-writer", daemon=True)
        try:
            reason = self._read(on_event, writer)
        finally:
            self._outbox.close()
            self.shut_down()
            if writer.ident is not None:
                writer.join()
        return self._write_failure or reason

    def _read(self, on_event: Callable[[EngineEvent], None], writer: threading.Thread) -> str | None:
        self._connection.settimeout(self._timeouts.imports)
        try:
            while True:
                event = decode(read_frame(self._connection))
                if not isinstance(event, EngineEvent):
                    raise MalformedMessage(f"{event.kind} is not an event.")
                if isinstance(event, Ready) and writer.ident is None:
                    writer.start()
                if isinstance(event, Imported):
                    # An import may block all threads of the engine. After the imports, silence means that it hangs.
                    self._connection.settimeout(self._timeouts.silence)
                on_event(event)
                time.sleep(0)  # under eventlet, reading a socket that always has data never yields to other threads
        except TimeoutError:
            return "The writing engine does not answer."
        except ConnectionClosed:
            return None
        except (MalformedFrame, MalformedMessage) as error:
            return f"The writing engine sent a malformed message. {error}"

    def _write(self) -> None:
        next_ping = time.monotonic()
        try:
            while (commands := self._outbox.take(next_ping - time.monotonic())) is not None:
                for command in commands:
                    self._write_command(command)
                if time.monotonic() >= next_ping:
                    write_frame(self._connection, encode(Ping()))
                    next_ping = time.monotonic() + self._timeouts.ping
        except (OutboxFull, TimeoutError):
            self._write_failure = "The writing engine does not accept commands."
        except ConnectionClosed:
            log.debug("The engine closed its connection.")  # the reader finds this too, and returns the reason
        self.shut_down()

    def _write_command(self, command: EngineCommand) -> None:
        try:
            write_frame(self._connection, encode(command))
        except MalformedFrame as error:  # neither another attempt nor another engine would help
            log.error("The command %s could not be sent to the writing engine: %s", command.kind, error)
