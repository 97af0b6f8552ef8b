"""Frames: JSON data on the socket between the web process and the engine process.

Owns the form of a frame: a length in 4 big-endian bytes, then the JSON as that number of UTF-8 bytes. A socket is any
object with `recv` and `sendall`, so plain sockets and eventlet's green sockets both work. Knows nothing of the meaning
of the data.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Protocol

MAX_FRAME_BYTES = 4 * 1024 * 1024
_LENGTH = struct.Struct("!I")


class FrameError(Exception):
    """The base class of `ConnectionClosed` and `MalformedFrame`."""


class ConnectionClosed(FrameError):
    """The other process has closed the connection, between two frames or within one."""


class MalformedFrame(FrameError):
    """The frame is too large, or it does not contain JSON.

    After a malformed frame was read, the connection cannot be used any more. A malformed frame is never sent.
    """


class Socket(Protocol):
    """The methods of a socket that frames need."""

    def recv(self, size: int, /) -> bytes: ...

    def sendall(self, data: bytes, /) -> object: ...


def read_frame(sock: Socket) -> Any:
    """Return the data of the next frame.

    Raise ConnectionClosed or MalformedFrame, or TimeoutError if the socket has a timeout.
    """
    (length,) = _LENGTH.unpack(_read_exactly(sock, _LENGTH.size))
    _check_length(length)
    body = _read_exactly(sock, length)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedFrame("The frame does not contain JSON.") from error


def write_frame(sock: Socket, data: object) -> None:
    """Send `data`, which must be JSON data without NaN or infinities.

    Raise ConnectionClosed, or TimeoutError if the socket has a timeout. Raise MalformedFrame, without sending anything,
    if the data does not fit into a frame.
    """
    try:
        body = json.dumps(data, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise MalformedFrame(f"The data is not JSON data: {error}.") from error
    _check_length(len(body))
    try:
        sock.sendall(_LENGTH.pack(len(body)) + body)
    except TimeoutError:
        raise
    except OSError as error:
        raise ConnectionClosed("The connection to the other process is broken.") from error


def _check_length(length: int) -> None:
    if length > MAX_FRAME_BYTES:
        raise MalformedFrame(f"A frame of {length} bytes is larger than the limit of {MAX_FRAME_BYTES} bytes.")


def _read_exactly(sock: Socket, size: int) -> bytes:
    parts = bytearray()
    while len(parts) < size:
        try:
            part = sock.recv(min(size - len(parts), 65536))
        except TimeoutError:
            raise
        except OSError as error:
            raise ConnectionClosed("The connection to the other process is broken.") from error
        if not part:
            raise ConnectionClosed("The other process has closed the connection.")
        parts += part
    return bytes(parts)
