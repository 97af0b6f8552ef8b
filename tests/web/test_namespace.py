"""Answers of the `/story` namespace, against a real server in both async modes."""

from __future__ import annotations

import secrets
from contextlib import ExitStack

import pytest

from tests.web.conftest import EdgeServer
from tests.web.edge_server import DRAFT
from tests.web.raw_page import RawPage, cookie_of
from web.namespace import MAX_CONNECTIONS_PER_OWNER

pytestmark = pytest.mark.app

EDIT = {"draft": DRAFT, "revision": 0, "client": "c" * 32, "updates": [{"changes": [[0, "x"]]}]}


def test_the_answer_to_pause_follows_all_updates(edge: EdgeServer) -> None:
    with edge.page() as page:
        page.call("open", {"draft": DRAFT})
        before = len(page.log)
        number = page.emit("pause", {"draft": DRAFT})
        page.ack(number)
        since = page.log[before:]
        assert since.count("event updates") - since.index(f"ack {number}") in (0, 3)
        assert since[-1] == f"ack {number}"


def test_an_unexpected_error_is_answered_without_details(edge: EdgeServer) -> None:
    with edge.page() as page:
        answer = page.call("configure", {"draft": DRAFT, "model": "m"})
    assert answer["error"]["code"] == "storage"
    assert "secret" not in answer["error"]["message"]


def test_an_unknown_draft_is_refused(edge: EdgeServer) -> None:
    with edge.page() as page:
        assert page.call("open", {"draft": "e" * 32})["error"]["code"] == "unknown_draft"


def test_a_client_id_belongs_to_the_first_cookie_that_used_it(edge: EdgeServer) -> None:
    edit = EDIT | {"client": secrets.token_hex(16)}
    with edge.page() as first, edge.page() as second:
        assert first.call("edit", edit)["ok"]
        assert second.call("edit", edit)["error"]["code"] == "invalid"
        assert first.call("edit", edit)["ok"]


@pytest.mark.parametrize("client", ["server", "model", "C" * 32, "c" * 31, "", 1])
def test_malformed_and_reserved_client_ids_are_refused(edge: EdgeServer, client: object) -> None:
    with edge.page() as page:
        assert page.call("edit", EDIT | {"client": client})["error"]["code"] == "invalid"


def test_an_edit_may_insert_at_most_256_kib(edge: EdgeServer) -> None:
    with edge.page() as page:
        edit = EDIT | {"client": secrets.token_hex(16)}
        for size, code in ((256 * 1024, None), (256 * 1024 + 1, "too_large")):
            answer = page.call("edit", edit | {"updates": [{"changes": [[0, "x" * size]]}]})
            assert answer.get("error", {}).get("code") == code


def test_an_owner_can_connect_a_limited_number_of_pages(edge: EdgeServer) -> None:
    cookie = cookie_of(edge.port)
    with ExitStack() as pages:
        opened = [pages.enter_context(RawPage(edge.port, cookie)) for _ in range(MAX_CONNECTIONS_PER_OWNER + 1)]
        assert [page.refused for page in opened[:-1]] == [None] * MAX_CONNECTIONS_PER_OWNER
        assert opened[-1].refused is not None
        assert opened[-1].refused["data"] == {"code": "busy"}
        with edge.page() as other:
            assert other.call("start", {"draft": DRAFT})["ok"], "another owner can connect"
