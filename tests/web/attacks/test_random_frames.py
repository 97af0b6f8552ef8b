"""Random bytes at each layer of the wire: the server stays up and serves a well-behaved page meanwhile."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from typing import Any

import psutil
import pytest
import websocket

from tests.rig.figures import hub_lag, new_seed, share, show
from tests.web.conftest import EdgeServer
from tests.web.edge_server import DRAFT
from tests.web.raw_page import RawPage

pytestmark = pytest.mark.app

FRAMES, LONG_FRAMES = 300, 15_000  # in each of the two modes
FRAMES_OF_ONE = 20
ENGINE_IO, SOCKET_IO = "0123456b", "0123456"


def frame(chance: random.Random) -> bytes:
    """Return a WebSocket frame around random text, sometimes with a broken head, length or mask."""
    body = random_body(chance)
    head = 0x80 | chance.choice([1, 1, 1, 1, 2, 0, 8, 9, 10, chance.randrange(16)])
    if chance.random() < 0.1:
        head ^= chance.choice([0x80, 0x40, 0x20, 0x10])
    said = len(body) if chance.random() < 0.9 else chance.choice([0, 126, 2**16, 2**31, 2**63, len(body) + 5])
    length = _length(said, masked=chance.random() < 0.97)
    mask = chance.randbytes(4)
    return bytes([head]) + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(body))


def _length(size: int, masked: bool) -> bytes:
    bit = 0x80 if masked else 0
    if size < 126:
        return bytes([bit | size])
    if size < 2**16:
        return bytes([bit | 126]) + size.to_bytes(2, "big")
    return bytes([bit | 127]) + size.to_bytes(8, "big")


def random_body(chance: random.Random) -> bytes:
    kind = chance.random()
    if kind < 0.3:
        return chance.randbytes(chance.randrange(200))
    number = chance.choice(["", "1", "9" * 30, "-1", str(chance.randrange(10**6))])
    namespace = chance.choice(["/story,", "/,", "", "/story?x=1,", "/\ud7ff,", "/story"])
    rest = chance.choice(
        ['["start",{}]', "[", '{"protocol":1}', '[["a"]]', "\0", '"', "[" * 300, '["edit",{"_placeholder":true}]']
    )
    text = chance.choice(ENGINE_IO) + chance.choice(SOCKET_IO) + namespace + number + rest
    return text.encode()[: chance.choice([None, 1, 3, 10])]


def test_random_frames_end_only_their_own_connection(edge: EdgeServer) -> None:
    send_frames(edge, FRAMES)


@pytest.mark.long
def test_very_many_random_frames_end_only_their_own_connection(edge: EdgeServer) -> None:
    send_frames(edge, share(LONG_FRAMES))


def send_frames(edge: EdgeServer, count: int) -> None:
    seed = new_seed()
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    chance, process = random.Random(seed), psutil.Process(edge.process.pid)
    before = process.memory_info().rss
    cut_off = 0
    with edge.page() as honest:
        for _ in range(count // FRAMES_OF_ONE):
            with edge.page(connect=chance.random() < 0.7) as hostile:
                cut_off += not send_some(hostile, chance)
            assert honest.call("start", {"draft": DRAFT})["ok"]
        grown = process.memory_info().rss - before
    figures = {"frames": count, "cut_off": cut_off, "grown_kb": grown // 1024}
    show("random frames", seed, mode=edge.mode, **figures, hub_lag_below_ms=hub_lag(edge.port))
    assert grown < 30 * 2**20


def send_some(page: RawPage, chance: random.Random) -> bool:
    """Whether all frames could be sent."""
    raw: Any = page.socket.sock
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(OSError, websocket.WebSocketException):
        for _ in range(FRAMES_OF_ONE):
            raw.sendall(frame(chance))
        return True
    return False
