"""Frames: how messages travel between the web process and the engine process.

A frame is a 4-byte big-endian length followed by that many bytes of UTF-8 JSON. Works on anything with
`recv` and `sendall` (plain and green sockets alike). Knows nothing of what the JSON means.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Protocol

MAX_FRAME_BYTES = 4 * 1024 * 1024
_LENGTH = struct.Struct("!I")


class FrameError(Exception):
    """Root of what can go wrong: `ConnectionClosed` and `MalformedFrame`."""


class ConnectionClosed(FrameError):
    """The other side is gone, between two frames or within one."""


class MalformedFrame(FrameError):
    """The frame is too large, or does not hold JSON; the connection is of no further use."""


class Socket(Protocol):
    def recv(self, size: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> object: ...


def read_frame(sock: Socket) -> Any:
    """The next frame's JSON data. Raises ConnectionClosed, MalformedFrame, and TimeoutError if the socket has one."""
    (length,) = _LENGTH.unpack(_read_exactly(sock, _LENGTH.size))
    if length > MAX_FRAME_BYTES:
        raise MalformedFrame(f"a frame of {length} bytes is larger than {MAX_FRAME_BYTES}")
    body = _read_exactly(sock, length)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedFrame("a frame does not hold JSON") from error


def write_frame(sock: Socket, data: object) -> None:
    """Send `data`, which must be JSON data without NaN or infinities. Raises ConnectionClosed and MalformedFrame."""
    try:
        body = json.dumps(data, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise MalformedFrame(f"not JSON data: {error}") from error
    if len(body) > MAX_FRAME_BYTES:
        raise MalformedFrame(f"a frame of {len(body)} bytes is larger than {MAX_FRAME_BYTES}")
    try:
        sock.sendall(_LENGTH.pack(len(body)) + body)
    except TimeoutError:
        raise
    except OSError as error:
        raise ConnectionClosed("the other process is gone") from error


def _read_exactly(sock: Socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        try:
            part = sock.recv(min(size - len(parts), 65536))
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectionClosed("the other process is gone") from error
        if not part:
            raise ConnectionClosed("the other process closed the connection")
        parts += part
    return bytes(parts)
