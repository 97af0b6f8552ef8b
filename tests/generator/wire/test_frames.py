"""Frames over a real socket pair: whatever is written is read, whatever is malformed is named."""

from __future__ import annotations

import json
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.wire.frames import MAX_FRAME_BYTES, ConnectionClosed, MalformedFrame, read_frame, write_frame

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(10)
        right.settimeout(10)
        yield left, right


@given(st.lists(JSON, max_size=5))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_frames_arrive_as_they_were_sent(pair: tuple[socket.socket, socket.socket], sent: list[object]) -> None:
    for data in sent:
        write_frame(pair[0], data)
    assert [read_frame(pair[1]) for _ in sent] == sent


class Trickle:
    """A socket that hands over one byte at a time, as a network may."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def recv(self, size: int, /) -> bytes:
        first, self._data = self._data[:1], self._data[1:]
        return first

    def sendall(self, data: bytes, /) -> None:
        raise BrokenPipeError


def test_a_frame_may_arrive_in_any_parts() -> None:
    body = json.dumps({"text": "🌊"}).encode()
    assert read_frame(Trickle(struct.pack("!I", len(body)) + body)) == {"text": "🌊"}


@pytest.mark.parametrize("cut", [0, 3, 4, 6])
def test_an_end_anywhere_is_a_closed_connection(cut: int) -> None:
    with pytest.raises(ConnectionClosed):
        read_frame(Trickle((struct.pack("!I", 4) + b"null")[:cut]))


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack("!I", MAX_FRAME_BYTES + 1),
        struct.pack("!I", 2) + b"{]",
        struct.pack("!I", 1) + b"\xff",
        struct.pack("!I", 0),
        struct.pack("!I", 200_000) + b"[" * 200_000,
    ],
)
def test_what_is_not_a_frame_is_malformed(frame: bytes) -> None:
    with pytest.raises(MalformedFrame):
        read_frame(Trickle(frame))


@pytest.mark.parametrize("data", [float("nan"), object(), "x" * MAX_FRAME_BYTES])
def test_what_cannot_be_sent_is_refused_before_it_is(data: object) -> None:
    with pytest.raises(MalformedFrame):
        write_frame(Trickle(b""), data)


def test_writing_to_nobody_is_a_closed_connection() -> None:
    with pytest.raises(ConnectionClosed):
        write_frame(Trickle(b""), 1)
