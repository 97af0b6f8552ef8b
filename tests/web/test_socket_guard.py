"""Packets, rates and answers of one connection."""

from __future__ import annotations

import secrets

import pytest

from tests.web.conftest import EdgeServer
from tests.web.edge_server import DRAFT

EDIT = {"draft": DRAFT, "revision": 0, "updates": [{"changes": [[0, "x"]]}]}


@pytest.mark.app
def test_alternatives_do_not_delay_other_events(edge: EdgeServer) -> None:
    """They wait here until an edit has been made, on the same connection."""
    asked = {"draft": DRAFT, "revision": 0, "at": 0}
    with edge.page() as page:
        first, second = page.emit("alternatives", asked), page.emit("alternatives", asked)
        third = page.call("alternatives", asked)
        released = page.acks.keys() & {first, second}  # by an edit of an earlier test
        assert third["ok"] or (third["error"]["code"] == "busy" and not released)
        assert page.call("edit", EDIT | {"client": secrets.token_hex(16)})["ok"]
        assert page.ack(first)["ok"]
        assert page.ack(second)["ok"]


@pytest.mark.app
def test_events_without_an_id_are_not_acknowledged(edge: EdgeServer) -> None:
    with edge.page() as page:
        page.send(f'42/story,["seen",{{"draft":"{DRAFT}","revision":0}}]')
        page.send('42/story,["nonsense"]')
        page.call("start", {"draft": DRAFT})
        assert list(page.acks) == [1]
