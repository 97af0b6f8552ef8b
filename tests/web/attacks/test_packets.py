"""Packets that a well-behaved page never sends, against a real server in both async modes."""

from __future__ import annotations

import pytest

from tests.web.conftest import EdgeServer
from tests.web.edge_server import DRAFT
from tests.web.raw_page import RawPage, cookie_of

pytestmark = pytest.mark.app


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


@pytest.mark.parametrize(
    "literal",
    ["NaN", "1e999", "-1", "1.0", "true", '"1"', "null", "[" * 500 + "]" * 500, "9" * 90, "9" * 5000, "{}"],
)
def test_numbers_outside_the_contract_are_refused(edge: EdgeServer, literal: str) -> None:
    with edge.page() as page:
        page.send(f'42/story,9["start",{{"draft":"{DRAFT}","limit":{literal}}}]')
        assert page.ack(9)["error"]["code"] == "invalid"


@pytest.mark.parametrize("text", [r"\ud800", r"\udc00x", r"\u0000", r"\r", r"\ud83d\ud83d", "a\\n"])
def test_text_that_a_draft_cannot_hold_is_refused(edge: EdgeServer, text: str) -> None:
    edit = f'{{"draft":"{DRAFT}","revision":0,"client":"{"c" * 32}","updates":[{{"changes":[[0,"{text}"]]}}]}}'
    with edge.page() as page:
        page.send(f'42/story,5["edit",{edit}]')
        assert page.ack(5)["error"]["code"] == "invalid"


def test_deeply_nested_json_is_refused(edge: EdgeServer) -> None:
    with edge.page() as page:
        page.send(f'42/story,6["start",{"[" * 100_000}]')
        assert page.ack(6)["error"]["code"] == "invalid"


def test_a_connection_needs_a_valid_cookie(edge: EdgeServer) -> None:
    stolen = cookie_of(edge.port)
    body, _, signature = stolen.rpartition(".")
    # Not its last letter, some bits of which base64 ignores.
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
def test_other_namespaces_are_not_served(edge: EdgeServer, namespace: str) -> None:
    with edge.page(connect=False) as page:
        page.send(f'40{namespace}{{"protocol":1}}')
        page.send('40/story,{"protocol":1}')
        page.read_until(lambda: page.connected is not None)
        page.send(f'42{namespace}8["start",{{}}]')
        assert page.call("start", {"draft": DRAFT})["ok"]


def test_a_second_connect_is_refused(edge: EdgeServer) -> None:
    with edge.page() as page:
        for _ in range(50):
            page.send('40/story,{"protocol":1}')
        assert page.call("start", {"draft": DRAFT})["ok"]
        assert page.refused is not None


def test_a_socket_that_never_joins_is_closed(edge: EdgeServer) -> None:
    with edge.page(connect=False) as page:
        assert page.is_hung_up(seconds=10)
