"""Connection: pings are answered, malformed frames end the process, and so does the end of the connection."""

from __future__ import annotations

import json
import socket
import struct

import pytest

from generator.wire.frames import ConnectionClosed, read_frame, write_frame
from generator.wire.messages import Chunk, Ping, Pong, encode
from tests.generator.engine.engine_process import EngineProcess, a_set, engine_process


def read_to_the_end(engine: EngineProcess) -> None:
    while True:
        read_frame(engine.socket)


def test_a_ping_is_answered_before_a_long_context_is_computed() -> None:
    with engine_process() as engine:
        engine.send(a_set("Once " * 20_000, budget=10**9), Ping())
        engine.until_kind(Pong)
        assert not any(isinstance(event, Chunk) for event in engine.seen)


def test_frames_that_are_not_json_end_the_process() -> None:
    with engine_process() as engine:
        engine.send(Ping())
        assert isinstance(engine.next(), Pong)
        engine.socket.sendall(struct.pack("!I", 3) + b"{,}")
        assert engine.process.wait(timeout=10) == 4


@pytest.mark.parametrize("message", [{"kind": "load"}, {"kind": "drop", "sequence": 1}, encode(Pong())])
def test_messages_that_are_not_commands_end_the_process(message: object) -> None:
    with engine_process() as engine:
        write_frame(engine.socket, message)
        assert engine.process.wait(timeout=10) == 4


def test_a_frame_beyond_the_limit_ends_the_process() -> None:
    with engine_process() as engine:
        engine.socket.sendall(struct.pack("!I", 2**31))
        assert engine.process.wait(timeout=10) == 4


def test_the_end_of_the_connection_ends_the_process_without_an_error() -> None:
    with engine_process() as engine:
        engine.send(a_set("Once 🌊", budget=20))
        engine.until_kind(Chunk)
        engine.socket.shutdown(socket.SHUT_WR)
        with pytest.raises(ConnectionClosed):
            read_to_the_end(engine)
        assert engine.process.wait(timeout=10) == 0


def test_the_log_of_a_malformed_message_is_json_on_request_and_does_not_quote_it() -> None:
    with engine_process(log_format="json") as engine:
        write_frame(engine.socket, {"kind": "drop", "sequence": ["Zanzibar"]})
        assert engine.process.wait(timeout=10) == 4
        assert engine.process.stderr is not None
        lines = engine.process.stderr.read().decode().splitlines()
    assert [json.loads(line).keys() for line in lines] == [{"time", "level", "logger", "message"}]
    assert "malformed" in lines[0]
    assert "Zanzibar" not in lines[0]
