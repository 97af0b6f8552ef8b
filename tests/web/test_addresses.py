"""Limits of one network address: the table alone, and a real server that reads forwarded addresses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import websocket

from tests.web.conftest import MODES, EdgeServer, running_edge
from tests.web.edge_server import DRAFT, FEW
from tests.web.raw_page import RawPage, ask, cookie_of
from web.addresses import Addresses, AddressLimits

LIMITS = AddressLimits(known=10)


def test_loopback_has_no_limits_unless_behind_a_proxy() -> None:
    here = [{"REMOTE_ADDR": address} for address in ("127.0.0.1", "127.8.9.1", "::1")]
    assert [Addresses(LIMITS, behind_proxy=False).of(environ) for environ in here] == [None, None, None]
    assert None not in [Addresses(LIMITS, behind_proxy=True).of(environ) for environ in here]


def test_addresses_of_one_ipv6_network_share_limits() -> None:
    addresses = Addresses(LIMITS, behind_proxy=False)
    one, same, other = (
        addresses.of({"REMOTE_ADDR": f"2001:db8:0:{network}::{host}"}) for network, host in ((1, 1), (1, 2), (2, 1))
    )
    assert one is same
    assert one is not other


@pytest.mark.parametrize(
    ("forwarded", "same"),
    [
        ("192.0.2.1", "192.0.2.1:1234"),
        ("192.0.2.1", "::ffff:192.0.2.1"),
        ("2001:db8::1", "[2001:db8::1]:1234"),
        ("2001:db8::1", "[2001:db8::2]"),
    ],
)
def test_spellings_of_one_address_share_limits(forwarded: str, same: str) -> None:
    addresses = Addresses(LIMITS, behind_proxy=True)
    assert addresses.of({"REMOTE_ADDR": forwarded}) is addresses.of({"REMOTE_ADDR": same})
    assert addresses.of({"REMOTE_ADDR": forwarded}) is not addresses.of({"REMOTE_ADDR": "192.0.2.9:1234"})


def test_the_table_is_bounded_and_keeps_connected_addresses() -> None:
    addresses = Addresses(LIMITS, behind_proxy=False)
    connected = addresses.of({"REMOTE_ADDR": "192.0.2.1"})
    assert connected is not None
    connected.open = 1
    for number in range(1000):
        addresses.of({"REMOTE_ADDR": f"198.51.{number // 250}.{number % 250}"})
        assert len(addresses._uses) <= LIMITS.known
    assert addresses.of({"REMOTE_ADDR": "192.0.2.1"}) is connected


@pytest.fixture(scope="module", params=MODES)
def proxied(request: pytest.FixtureRequest, edge_root: Path) -> Iterator[EdgeServer]:
    with running_edge(request.param, edge_root, 1000, "--behind-proxy") as server:
        yield server


def page_from(server: EdgeServer, address: str) -> RawPage:
    return RawPage(server.port, cookie_of(server.port), header=[f"X-Forwarded-For: {address}"])


@pytest.mark.app
def test_each_address_has_its_own_limit_of_connections(proxied: EdgeServer) -> None:
    with ExitStack() as pages:
        for _ in range(FEW.open):
            pages.enter_context(page_from(proxied, "192.0.2.10"))
        with pytest.raises(websocket.WebSocketBadStatusException, match="429"):
            page_from(proxied, "192.0.2.10")
        with pytest.raises(websocket.WebSocketBadStatusException, match="429"):
            page_from(proxied, "198.51.100.1, 192.0.2.10")  # an address that the client itself forwards is ignored
        with page_from(proxied, "192.0.2.11") as other:
            assert other.call("start", {"draft": DRAFT})["ok"]


@pytest.mark.app
def test_closed_connections_do_not_count(proxied: EdgeServer) -> None:
    for _ in range(2 * FEW.open):
        with page_from(proxied, "192.0.2.20") as page:
            assert page.call("start", {"draft": DRAFT})["ok"]
            page.socket.close()


@pytest.mark.app
def test_an_address_can_create_a_limited_number_of_stories(proxied: EdgeServer) -> None:
    body = '{"mode": "continue", "prompt": "Once"}'
    made = [ask(proxied.port, "POST", "/api/stories", body, X_Forwarded_For="192.0.2.30") for _ in range(4)]
    assert [reply.status for reply in made] == [201, 201, 429, 429]
    assert made[-1].json["error"]["code"] == "rate_limited"
    assert "Content-Security-Policy" in made[-1].headers
    assert ask(proxied.port, "POST", "/api/stories", body, X_Forwarded_For="192.0.2.31").status == 201


@pytest.mark.app
def test_an_address_can_send_a_limited_number_of_requests(proxied: EdgeServer) -> None:
    replies = [ask(proxied.port, "GET", "/livez", X_Forwarded_For="192.0.2.40").status for _ in range(2 * 20)]
    assert replies[0] == 200
    assert 429 in replies
