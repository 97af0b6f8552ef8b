"""Frames: a real socket pair delivers every frame unchanged, and malformed frames are refused."""

from __future__ import annotations

import json
import socket
import struct
import threading
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
def test_frames_arrive_unchanged_and_in_order(pair: tuple[socket.socket, socket.socket], sent: list[object]) -> None:
    for data in sent:
        write_frame(pair[0], data)
    assert [read_frame(pair[1]) for _ in sent] == sent


class Trickle:
    """A socket that returns one byte at a time, as a network may, and that cannot send."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def recv(self, size: int, /) -> bytes:
        first, self._data = self._data[:1], self._data[1:]
        return first

    def sendall(self, data: bytes, /) -> None:
        raise BrokenPipeError


def test_a_frame_may_arrive_in_parts() -> None:
    body = json.dumps({"text": "🌊"}).encode()
    assert read_frame(Trickle(struct.pack("!I", len(body)) + body)) == {"text": "🌊"}


@pytest.mark.parametrize("cut", [0, 3, 4, 6])
def test_an_end_within_a_frame_is_a_closed_connection(cut: int) -> None:
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
def test_other_data_is_a_malformed_frame(frame: bytes) -> None:
    with pytest.raises(MalformedFrame):
        read_frame(Trickle(frame))


@pytest.mark.parametrize("data", [float("nan"), object(), "x" * MAX_FRAME_BYTES])
def test_data_that_does_not_fit_a_frame_is_refused(data: object) -> None:
    with pytest.raises(MalformedFrame):
        write_frame(Trickle(b""), data)


def test_the_largest_frame_is_delivered_and_a_refused_one_sends_nothing(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    largest = "x" * (MAX_FRAME_BYTES - 2)  # JSON adds two quotation marks
    sender = threading.Thread(target=write_frame, args=(pair[0], largest))
    sender.start()
    assert read_frame(pair[1]) == largest
    sender.join()
    with pytest.raises(MalformedFrame):
        write_frame(pair[0], largest + "x")
    write_frame(pair[0], "next")
    assert read_frame(pair[1]) == "next"


def test_a_timeout_of_the_socket_is_raised(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].settimeout(0.01)
    with pytest.raises(TimeoutError):
        read_frame(pair[1])


def test_writing_to_a_broken_socket_is_a_closed_connection() -> None:
    with pytest.raises(ConnectionClosed):
        write_frame(Trickle(b""), 1)
