"""Floods, large frames and clients that do not read, against a real server in both async modes."""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import websocket

from tests.web.conftest import MODES, EdgeServer, running_edge
from tests.web.edge_server import DRAFT
from tests.web.raw_page import RawPage, ask

pytestmark = pytest.mark.app


def test_large_frames_do_not_delay_other_pages(edge: EdgeServer) -> None:
    """Unmodified eventlet blocks the loop for half a second per frame."""
    with edge.page() as hostile, edge.page() as honest:
        for _ in range(5):
            hostile.send("42/story," + "x" * 900_000)
            began = time.monotonic()
            honest.call("start", {"draft": DRAFT})
            assert time.monotonic() - began < 0.4


def test_a_frame_beyond_the_limit_ends_its_connection(edge: EdgeServer) -> None:
    with edge.page() as page:
        page.send("42/story,1" + "x" * 1_200_000)
        assert page.is_hung_up()


def test_a_client_that_answers_pings_but_does_not_read_is_cut_off(edge: EdgeServer) -> None:
    with edge.page() as lazy, edge.page() as honest:
        lazy.call("open", {"draft": DRAFT})
        for _ in range(8):  # 100 updates of 50 kB each, of which `lazy` reads none
            assert honest.call("hold", {"draft": DRAFT, "composing": True})["ok"]
        metrics = ask(edge.port, "GET", "/metrics").body.decode()
        assert "story_slow_clients_total 0.0" not in metrics
        assert lazy.is_hung_up()


@pytest.mark.parametrize("packet", ["3", "3probe", "5", "6", "2", "4", "9", "b4AAAA"])
def test_a_flood_of_engine_io_packets_starts_no_threads(edge: EdgeServer, packet: str) -> None:
    """CVE-2026-48802: each PONG started a thread."""
    process = psutil.Process(edge.process.pid)
    before = process.num_threads()
    with edge.page() as hostile, edge.page() as honest:
        with suppress(OSError, websocket.WebSocketException):  # the server may cut it off
            for _ in range(1_000):
                hostile.send(packet)
        assert honest.call("start", {"draft": DRAFT})["ok"]
        assert process.num_threads() <= before + 12


def test_a_compressed_bomb_is_not_inflated(edge: EdgeServer) -> None:
    """200 kB that inflate to 200 MB of zeros."""
    squeeze = zlib.compressobj(9, wbits=-15)
    bomb = squeeze.compress(b"0" * 200_000_000) + squeeze.flush(zlib.Z_SYNC_FLUSH)
    process = psutil.Process(edge.process.pid)
    before = process.memory_info().rss
    extension = ["Sec-WebSocket-Extensions: permessage-deflate"]
    with edge.page(header=extension, connect=False) as hostile, edge.page() as honest:
        raw: Any = hostile.socket.sock
        frame = bytes([0xC1, 0xFF]) + len(bomb).to_bytes(8, "big") + b"\0\0\0\0" + bomb
        with suppress(OSError):
            raw.sendall(frame)
            while raw.recv(65_536):
                continue
        assert honest.call("start", {"draft": DRAFT})["ok"]
    assert process.memory_info().rss - before < 50 * 2**20


@pytest.fixture(scope="module", params=MODES)
def limited(request: pytest.FixtureRequest, edge_root: Path) -> Iterator[EdgeServer]:
    with running_edge(request.param, edge_root, 50) as server:
        yield server


def test_a_flood_of_events_does_not_block_other_pages(limited: EdgeServer) -> None:
    with limited.page() as hostile, limited.page() as honest:
        ids = [hostile.emit("start", {"draft": DRAFT}) for _ in range(500)]
        assert honest.call("start", {"draft": DRAFT})["ok"]
        codes = {hostile.ack(number).get("error", {}).get("code") for number in ids}
        assert codes == {None, "rate_limited"}


def test_a_client_that_never_reads_its_answers_is_cut_off(limited: EdgeServer) -> None:
    """Its own flood fills its send queue, which is bounded."""
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    with limited.page(sockopt=small) as hostile, pytest.raises((ConnectionError, websocket.WebSocketException)):
        flood(hostile)


def flood(page: RawPage) -> None:
    for _ in range(200_000):
        page.emit("nothing", {})
