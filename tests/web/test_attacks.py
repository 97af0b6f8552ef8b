"""Attacks that stock Flask-SocketIO lets through, one test each, against a real server in both async modes."""

from __future__ import annotations

import socket
import subprocess
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
from tests.web.raw_page import RawPage, ask, cookie_of

pytestmark = pytest.mark.app
HANDSHAKE = "/socket.io/?EIO=4&transport=websocket"
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec_WebSocket_Version": "13",
    "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def test_dns_rebinding_reaches_neither_page_nor_socket(edge: EdgeServer) -> None:
    foreign = f"evil.example:{edge.port}"
    for path in ("/", HANDSHAKE, "/api/stories"):
        assert ask(edge.port, "GET", path, Host=foreign, Origin=f"http://{foreign}", **UPGRADE).status == 403


@pytest.mark.parametrize("host", ["", "localhost.evil.example", "127.0.0.1.evil.example", "0.0.0.0", "[::2]", "a b"])
def test_other_hosts_are_refused(edge: EdgeServer, host: str) -> None:
    assert ask(edge.port, "GET", "/livez", Host=host).status == 403


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.0.0.2:80", "[::1]:5000", "LOCALHOST:1"])
def test_this_computers_names_are_accepted(edge: EdgeServer, host: str) -> None:
    assert ask(edge.port, "GET", "/livez", Host=host).status == 200


def test_a_forwarded_host_is_not_believed(edge: EdgeServer) -> None:
    origin = "http://evil.example"
    reply = ask(edge.port, "GET", HANDSHAKE, X_Forwarded_Host="evil.example", Origin=origin, **UPGRADE)
    assert reply.status == 403


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_a_foreign_page_opens_no_socket(edge: EdgeServer, origin: str) -> None:
    assert ask(edge.port, "GET", HANDSHAKE, Origin=origin, **UPGRADE).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_page_changes_nothing(edge: EdgeServer, site: str) -> None:
    assert ask(edge.port, "POST", "/api/stories", "{}", Sec_Fetch_Site=site).status == 403
    assert ask(edge.port, "GET", HANDSHAKE, Sec_Fetch_Site=site, **UPGRADE).status == 403


@pytest.mark.parametrize("event", ["connect", "disconnect", "connect_error", "message", "_forget", "__init__", "*"])
def test_a_client_cannot_forge_events_of_the_library(edge: EdgeServer, event: str) -> None:
    with edge.page() as page:
        for data in ("x", {"a": 1}, {"draft": DRAFT}):
            assert page.call(event, data)["error"]["code"] == "invalid"
        assert page.call("start", {"draft": DRAFT})["ok"], "the page is still connected"


def test_binary_packets_are_answered_and_not_kept(edge: EdgeServer) -> None:
    with edge.page() as page:
        page.send('459999999999-/story,77["edit",{"_placeholder":true,"num":0}]')
        assert page.ack(77)["error"]["code"] == "invalid"
        for _ in range(50):
            page.socket.send_binary(b"x" * 100_000)
        assert page.call("start", {"draft": DRAFT})["ok"]


def test_large_frames_freeze_nobody(edge: EdgeServer) -> None:
    """Stock eventlet needs half a second for each of these, and everybody waits."""
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


def test_who_answers_pings_but_does_not_read_is_cut_off(edge: EdgeServer) -> None:
    with edge.page() as lazy, edge.page() as honest:
        lazy.call("open", {"draft": DRAFT})
        for _ in range(8):  # 100 updates of 50 kB each, of which `lazy` reads none
            assert honest.call("hold", {"draft": DRAFT, "composing": True})["ok"]
        metrics = ask(edge.port, "GET", "/metrics").body.decode()
        assert "story_slow_clients_total 0.0" not in metrics
        assert lazy.is_hung_up()


def test_polling_and_jsonp_are_not_served(edge: EdgeServer) -> None:
    for query in ("EIO=4&transport=polling", "EIO=4&transport=polling&j=0", "EIO=4"):
        assert ask(edge.port, "GET", f"/socket.io/?{query}").status == 400


@pytest.mark.parametrize("missing", ["Connection", "Upgrade", "Sec_WebSocket_Version", "Sec_WebSocket_Key"])
def test_half_a_handshake_is_refused(edge: EdgeServer, missing: str) -> None:
    headers = {name: value for name, value in UPGRADE.items() if name != missing}
    for broken in (headers, headers | {missing: "x"}):
        assert ask(edge.port, "GET", HANDSHAKE, **broken).json["error"]["code"] == "invalid"


def test_broken_requests_are_answered_and_not_printed(edge_root: Path) -> None:
    broken = (
        b"\x1b[31mRED\r\n\r\n",
        b"GET /\x07 HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 2000 + b"\r\n",
    )
    for mode in MODES:
        with running_edge(mode, edge_root, 50, stderr=subprocess.PIPE) as server:
            for data in broken:
                with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
                    connection.sendall(data)
                    assert connection.recv(10), "an answer, or at least the end"
            for text in ("x", "bA", ""):
                with server.page() as page:
                    page.send(text)
                    assert page.is_hung_up(), "this is no packet"
            with server.page() as page:
                page.call("open", {"draft": DRAFT})
                server.process.terminate()
                assert server.process.stderr is not None
                assert server.process.stderr.read() == ""


@pytest.mark.parametrize(
    "literal",
    ["NaN", "1e999", "-1", "1.0", "true", '"1"', "null", "[" * 500 + "]" * 500, "9" * 90, "9" * 5000, "{}"],
)
def test_strange_numbers_are_refused(edge: EdgeServer, literal: str) -> None:
    with edge.page() as page:
        page.send(f'42/story,9["start",{{"draft":"{DRAFT}","limit":{literal}}}]')
        assert page.ack(9)["error"]["code"] == "invalid"


@pytest.mark.parametrize("text", [r"\ud800", r"\udc00x", r"\u0000", r"\r", r"\ud83d\ud83d", "a\\n"])
def test_text_no_draft_can_hold_is_refused(edge: EdgeServer, text: str) -> None:
    edit = f'{{"draft":"{DRAFT}","revision":0,"client":"{"c" * 32}","updates":[{{"changes":[[0,"{text}"]]}}]}}'
    with edge.page() as page:
        page.send(f'42/story,5["edit",{edit}]')
        assert page.ack(5)["error"]["code"] == "invalid"


def test_deep_nesting_is_answered(edge: EdgeServer) -> None:
    with edge.page() as page:
        page.send(f'42/story,6["start",{"[" * 100_000}]')
        assert page.ack(6)["error"]["code"] == "invalid"


def test_without_the_cookie_no_connection(edge: EdgeServer) -> None:
    stolen = cookie_of(edge.port)
    body, _, signature = stolen.rpartition(".")
    # Not its last letter: in base64 that one has bits that mean nothing.
    forged = [f"{body}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}", stolen.replace("=", "=0"), "x=y"]
    for cookie in [None, *forged]:
        with RawPage(edge.port, cookie) as page:
            assert page.refused is not None
            assert page.refused["data"] == {"code": "protocol"}


@pytest.mark.parametrize(
    "auth", ["", "{}", '{"protocol":2}', '{"protocol":true}', '"1"', '{"protocol":1,"x":1}', "[1]"]
)
def test_another_protocol_is_refused(edge: EdgeServer, auth: str) -> None:
    with edge.page(connect=False) as page:
        page.send(f"40/story,{auth}")
        page.read_until(lambda: page.refused is not None)
        assert page.refused is not None
        assert page.refused["data"] == {"code": "protocol"}


@pytest.mark.parametrize("namespace", ["", "/,", "/admin,", "/story2,"])
def test_there_is_one_namespace(edge: EdgeServer, namespace: str) -> None:
    with edge.page(connect=False) as page:
        page.send(f'40{namespace}{{"protocol":1}}')
        page.send('40/story,{"protocol":1}')
        page.read_until(lambda: page.connected is not None)
        page.send(f'42{namespace}8["start",{{}}]')
        assert page.call("start", {"draft": DRAFT})["ok"]


def test_connecting_twice_gives_no_second_connection(edge: EdgeServer) -> None:
    with edge.page() as page:
        for _ in range(50):
            page.send('40/story,{"protocol":1}')
        assert page.call("start", {"draft": DRAFT})["ok"]
        assert page.refused is not None


def test_a_socket_that_never_joins_is_closed(edge: EdgeServer) -> None:
    with edge.page(connect=False) as page:
        assert page.is_hung_up(seconds=10)


def test_files_outside_static_are_not_served(edge: EdgeServer) -> None:
    for path in ("../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "..\\secret.txt", "/etc/passwd", "C:/x", ""):
        reply = ask(edge.port, "GET", f"/static/{path}")
        assert reply.status == 404
        assert b"not for the web" not in reply.body


@pytest.mark.parametrize("packet", ["3", "3probe", "5", "6", "2", "4", "9", "b4AAAA"])
def test_a_flood_of_engine_io_packets_starts_no_threads(edge: EdgeServer, packet: str) -> None:
    """CVE-2026-48802: each PONG started a thread."""
    process = psutil.Process(edge.process.pid)
    before = process.num_threads()
    with edge.page() as hostile, edge.page() as honest:
        with suppress(OSError, websocket.WebSocketException):  # it may well be cut off
            for _ in range(1_000):
                hostile.send(packet)
        assert honest.call("start", {"draft": DRAFT})["ok"]
        assert process.num_threads() <= before + 12


def test_a_compressed_bomb_is_not_inflated(edge: EdgeServer) -> None:
    """200 MB of zeros in 200 kB; whoever inflates it holds it in memory."""
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


def test_a_flood_is_answered_and_others_are_served(limited: EdgeServer) -> None:
    with limited.page() as hostile, limited.page() as honest:
        ids = [hostile.emit("start", {"draft": DRAFT}) for _ in range(500)]
        assert honest.call("start", {"draft": DRAFT})["ok"]
        codes = {hostile.ack(number).get("error", {}).get("code") for number in ids}
        assert codes == {None, "rate_limited"}


def test_a_client_that_never_reads_its_answers_is_cut_off(limited: EdgeServer) -> None:
    """Its own flood fills its queue; it must not fill the server."""
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    with limited.page(sockopt=small) as hostile, pytest.raises((ConnectionError, websocket.WebSocketException)):
        flood(hostile)


def flood(page: RawPage) -> None:
    for _ in range(200_000):
        page.emit("nothing", {})
