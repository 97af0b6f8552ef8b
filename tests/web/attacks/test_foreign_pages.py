"""Foreign hosts, foreign pages and broken HTTP against a real server, in both async modes."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from tests.web.conftest import MODES, EdgeServer, running_edge
from tests.web.edge_server import DRAFT
from tests.web.raw_page import ask

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
def test_names_of_this_computer_are_accepted(edge: EdgeServer, host: str) -> None:
    assert ask(edge.port, "GET", "/livez", Host=host).status == 200


def test_a_forwarded_host_is_ignored(edge: EdgeServer) -> None:
    origin = "http://evil.example"
    reply = ask(edge.port, "GET", HANDSHAKE, X_Forwarded_Host="evil.example", Origin=origin, **UPGRADE)
    assert reply.status == 403


@pytest.mark.parametrize("origin", ["null", "http://evil.example", "https://127.0.0.1", "http://127.0.0.1:1"])
def test_a_foreign_page_cannot_open_a_socket(edge: EdgeServer, origin: str) -> None:
    assert ask(edge.port, "GET", HANDSHAKE, Origin=origin, **UPGRADE).status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_foreign_page_cannot_change_anything(edge: EdgeServer, site: str) -> None:
    assert ask(edge.port, "POST", "/api/stories", "{}", Sec_Fetch_Site=site).status == 403
    assert ask(edge.port, "GET", HANDSHAKE, Sec_Fetch_Site=site, **UPGRADE).status == 403


def test_polling_and_jsonp_are_not_served(edge: EdgeServer) -> None:
    for query in ("EIO=4&transport=polling", "EIO=4&transport=polling&j=0", "EIO=4"):
        assert ask(edge.port, "GET", f"/socket.io/?{query}").status == 400


@pytest.mark.parametrize("missing", ["Connection", "Upgrade", "Sec_WebSocket_Version", "Sec_WebSocket_Key"])
def test_an_incomplete_handshake_is_refused(edge: EdgeServer, missing: str) -> None:
    headers = {name: value for name, value in UPGRADE.items() if name != missing}
    for broken in (headers, headers | {missing: "x"}):
        assert ask(edge.port, "GET", HANDSHAKE, **broken).json["error"]["code"] == "invalid"


def test_files_outside_static_are_not_served(edge: EdgeServer) -> None:
    for path in ("../secret.txt", "%2e%2e/secret.txt", "..%2fsecret.txt", "..\\secret.txt", "/etc/passwd", "C:/x", ""):
        reply = ask(edge.port, "GET", f"/static/{path}")
        assert reply.status == 404
        assert b"not for the web" not in reply.body


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
                    assert connection.recv(10), "an answer, or the end of the connection"
            for text in ("x", "bA", ""):
                with server.page() as page:
                    page.send(text)
                    assert page.is_hung_up(), "the text is not an Engine.IO packet"
            with server.page() as page:
                page.call("open", {"draft": DRAFT})
                server.process.terminate()
                assert server.process.stderr is not None
                assert server.process.stderr.read() == ""
