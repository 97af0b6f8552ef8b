"""Rooms, and the order of updates and answers."""

from __future__ import annotations

import pytest

from tests.web.conftest import EdgeServer
from tests.web.edge_server import DRAFT


@pytest.mark.app
def test_updates_published_during_an_open_follow_its_answer(edge: EdgeServer) -> None:
    with edge.page() as page:
        number = page.emit("open", {"draft": DRAFT})
        page.read_until(lambda: len(page.events) == 3)
        assert page.log == [f"ack {number}", *["event updates"] * 3]


@pytest.mark.app
def test_opening_a_draft_again_loses_and_repeats_no_update(edge: EdgeServer) -> None:
    with edge.page() as page:
        for _ in range(5):
            page.call("open", {"draft": DRAFT})
        page.call("start", {"draft": DRAFT})
        assert page.log.count("event updates") == 15


@pytest.mark.app
def test_a_closed_draft_sends_no_updates(edge: EdgeServer) -> None:
    with edge.page() as page:
        page.call("open", {"draft": DRAFT})
        page.call("close", {"draft": DRAFT})
        page.log.clear()
        page.call("pause", {"draft": DRAFT})
        assert "event updates" not in page.log


@pytest.mark.app
def test_a_page_receives_no_updates_of_drafts_it_has_not_opened(edge: EdgeServer) -> None:
    with edge.page() as page, edge.page() as stranger:
        page.call("open", {"draft": DRAFT})
        page.call("pause", {"draft": DRAFT})
        stranger.call("start", {"draft": DRAFT})
        assert "event updates" not in stranger.log
