"""Connection: a real socket pair, with the test as the engine at the other end."""

from __future__ import annotations

import queue
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from generator.engine_host.connection import EngineConnection, EngineTimeouts
from generator.engine_host.outbox import LIMIT
from generator.wire.frames import MAX_FRAME_BYTES, read_frame, write_frame
from generator.wire.messages import (
    Alternatives,
    Budget,
    Drop,
    EngineCommand,
    EngineEvent,
    Imported,
    ModelSpec,
    Piece,
    Ping,
    Pong,
    Ready,
    decode,
    encode,
)

PATIENT = EngineTimeouts(imports=20, ping=20, silence=20)


class Running:
    """A connection whose `run` is called on a thread, and the engine's end of its socket."""

    def __init__(self, timeouts: EngineTimeouts) -> None:
        self.web_end, self.engine = socket.socketpair()
        self.engine.settimeout(20)
        self.connection = EngineConnection(self.web_end, timeouts)
        self.events: list[EngineEvent] = []
        self._reasons: queue.Queue[str | None] = queue.Queue()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        self._reasons.put(self.connection.run(self.events.append))

    def emit(self, *events: EngineEvent) -> None:
        for event in events:
            write_frame(self.engine, encode(event))

    def next_command(self) -> EngineCommand:
        command = decode(read_frame(self.engine))
        assert isinstance(command, EngineCommand)
        return command

    def reason(self) -> str | None:
        return self._reasons.get(timeout=20)


@contextmanager
def running(timeouts: EngineTimeouts = PATIENT) -> Iterator[Running]:
    run = Running(timeouts)
    try:
        yield run
    finally:
        run.connection.shut_down()
        run.thread.join()
        run.engine.close()
        run.web_end.close()


def test_events_are_received_in_order_until_the_engine_closes_the_connection() -> None:
    events: list[EngineEvent] = [Ready(1), Imported("cpu"), *(Pong() for _ in range(3))]
    with running() as run:
        run.emit(*events)
        run.engine.shutdown(socket.SHUT_WR)
        assert run.reason() is None
        assert run.events == events


def test_commands_are_written_in_order_after_the_engine_is_ready() -> None:
    with running() as run:
        run.connection.send(Drop("a"))
        run.engine.settimeout(0.1)
        with pytest.raises(TimeoutError):
            run.engine.recv(1)
        run.engine.settimeout(20)
        run.emit(Ready(1))
        assert [run.next_command(), run.next_command()] == [Drop("a"), Ping()]
        run.connection.send(Budget("b", 1, 2))
        assert run.next_command() == Budget("b", 1, 2)


def test_pings_are_sent_at_their_interval() -> None:
    with running(replace(PATIENT, ping=0.1)) as run:
        started = time.monotonic()
        run.emit(Ready(1))
        assert [run.next_command() for _ in range(4)] == [Ping()] * 4
        assert time.monotonic() - started >= 0.3


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (struct.pack("!I", 5) + b"{'no}", "The frame does not contain JSON."),
        (struct.pack("!I", 2**31), f"A frame of {2**31} bytes is larger than the limit of {MAX_FRAME_BYTES} bytes."),
        (struct.pack("!I", 15) + b'{"kind":"ping"}', "ping is not an event."),
        (struct.pack("!I", 2) + b"{}", "The data has no kind of this protocol."),
    ],
)
def test_malformed_data_ends_the_connection_with_the_reason(data: bytes, sentence: str) -> None:
    with running() as run:
        run.emit(Ready(1))
        run.engine.sendall(data)
        assert run.reason() == f"The writing engine sent a malformed message. {sentence}"


def test_silence_after_the_imports_ends_the_connection() -> None:
    with running(EngineTimeouts(imports=20, ping=20, silence=0.2)) as run:
        run.emit(Ready(1))
        time.sleep(0.5)
        run.emit(Imported("cpu"))
        assert run.reason() == "The writing engine does not answer."
        assert run.events == [Ready(1), Imported("cpu")]


def test_imports_have_a_timeout_of_their_own() -> None:
    with running(EngineTimeouts(imports=0.2, ping=20, silence=20)) as run:
        run.emit(Ready(1))
        assert run.reason() == "The writing engine does not answer."


def test_too_many_waiting_commands_end_the_connection() -> None:
    with running() as run:
        for number in range(LIMIT + 1):
            run.connection.send(Drop(str(number)))
        run.emit(Ready(1))
        assert run.reason() == "The writing engine does not accept commands."


def test_a_command_that_is_too_large_is_skipped_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    large = Piece("x" * MAX_FRAME_BYTES)
    with running() as run:
        run.emit(Ready(1))
        assert run.next_command() == Ping()
        run.connection.send(Alternatives("r", "s", ModelSpec("fake", "x"), None, (), (large,), 0))
        run.connection.send(Drop("a"))
        assert run.next_command() == Drop("a")
    assert "The command alternatives could not be sent" in caplog.text


def test_shut_down_ends_the_run() -> None:
    with running() as run:
        run.emit(Ready(1))
        assert run.next_command() == Ping()
        run.connection.shut_down()
        assert run.reason() is None
