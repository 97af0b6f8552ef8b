"""Order and answers on a connection: what a page may rely on, against a real server in both async modes."""

from __future__ import annotations

import secrets

import pytest

from tests.web.conftest import EdgeServer
from tests.web.edge_server import DRAFT
from tests.web.raw_page import ask

pytestmark = pytest.mark.app

EDIT = {"draft": DRAFT, "revision": 0, "client": "c" * 32, "updates": [{"changes": [[0, "x"]]}]}


def test_what_is_published_while_opening_comes_after_the_answer(edge: EdgeServer) -> None:
    with edge.page() as page:
        number = page.emit("open", {"draft": DRAFT})
        page.read_until(lambda: len(page.events) == 3)
        assert page.log == [f"ack {number}", *["event updates"] * 3]


def test_opening_again_loses_and_repeats_nothing(edge: EdgeServer) -> None:
    with edge.page() as page:
        for _ in range(5):
            page.call("open", {"draft": DRAFT})
        page.call("start", {"draft": DRAFT})
        assert page.log.count("event updates") == 15


def test_the_answer_to_pause_follows_all_updates(edge: EdgeServer) -> None:
    with edge.page() as page:
        page.call("open", {"draft": DRAFT})
        before = len(page.log)
        number = page.emit("pause", {"draft": DRAFT})
        page.ack(number)
        since = page.log[before:]
        assert since.count("event updates") - since.index(f"ack {number}") in (0, 3)
        assert since[-1] == f"ack {number}"


def test_after_close_nothing_more_arrives(edge: EdgeServer) -> None:
    with edge.page() as page:
        page.call("open", {"draft": DRAFT})
        page.call("close", {"draft": DRAFT})
        page.log.clear()
        page.call("pause", {"draft": DRAFT})
        assert "event updates" not in page.log


def test_a_page_that_opened_nothing_hears_nothing(edge: EdgeServer) -> None:
    with edge.page() as page, edge.page() as stranger:
        page.call("open", {"draft": DRAFT})
        page.call("pause", {"draft": DRAFT})
        stranger.call("start", {"draft": DRAFT})
        assert "event updates" not in stranger.log


def test_alternatives_keep_no_other_event_waiting(edge: EdgeServer) -> None:
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


def test_an_unexpected_failure_is_answered_without_its_details(edge: EdgeServer) -> None:
    with edge.page() as page:
        answer = page.call("configure", {"draft": DRAFT, "model": "m"})
    assert answer["error"]["code"] == "storage"
    assert "secret" not in answer["error"]["message"]


def test_another_draft_is_unknown(edge: EdgeServer) -> None:
    with edge.page() as page:
        assert page.call("open", {"draft": "e" * 32})["error"]["code"] == "unknown_draft"


def test_a_client_id_belongs_to_its_first_cookie(edge: EdgeServer) -> None:
    edit = EDIT | {"client": secrets.token_hex(16)}
    with edge.page() as first, edge.page() as second:
        assert first.call("edit", edit)["ok"]
        assert second.call("edit", edit)["error"]["code"] == "invalid"
        assert first.call("edit", edit)["ok"]


@pytest.mark.parametrize("client", ["server", "model", "C" * 32, "c" * 31, "", 1])
def test_other_client_ids_are_invalid(edge: EdgeServer, client: object) -> None:
    with edge.page() as page:
        assert page.call("edit", EDIT | {"client": client})["error"]["code"] == "invalid"


def test_an_edit_of_256_kib_is_taken_and_a_larger_one_is_too_large(edge: EdgeServer) -> None:
    with edge.page() as page:
        edit = EDIT | {"client": secrets.token_hex(16)}
        for size, code in ((256 * 1024, None), (256 * 1024 + 1, "too_large")):
            answer = page.call("edit", edit | {"updates": [{"changes": [[0, "x" * size]]}]})
            assert answer.get("error", {}).get("code") == code


def test_events_without_an_ack_id_get_no_ack(edge: EdgeServer) -> None:
    with edge.page() as page:
        page.send(f'42/story,["seen",{{"draft":"{DRAFT}","revision":0}}]')
        page.send('42/story,["nonsense"]')
        page.call("start", {"draft": DRAFT})
        assert list(page.acks) == [1]


def test_a_changed_menu_is_told_to_everybody(edge: EdgeServer) -> None:
    """The menu changes two seconds after the server's start; a later page sees it by REST."""
    with edge.page() as page:
        if not ask(edge.port, "GET", "/api/models").json["changed"]:
            page.read_until(lambda: page.events != [])
            assert page.events == [("menu", {"continue": [], "prompt": [], "changed": True})]
