"""The web application: errors as JSON, the menu, and the end of connections."""

from __future__ import annotations

import pytest

from tests.web.conftest import EdgeServer
from tests.web.raw_page import ask

STORY = "s" * 32


@pytest.mark.app
def test_a_changed_menu_is_sent_to_all_pages(edge: EdgeServer) -> None:
    """The menu changes two seconds after the server's start; a later page sees it by REST."""
    with edge.page() as page:
        if not ask(edge.port, "GET", "/api/models").json["changed"]:
            page.read_until(lambda: page.events != [])
            assert page.events == [("menu", {"continue": [], "prompt": [], "changed": True})]


@pytest.mark.app
@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("PUT", "/api/stories", 405, "method_not_allowed"),
        ("GET", f"/api/stories/{STORY}", 404, "unknown_story"),
        ("GET", "/api/stories/a", 400, "invalid"),
        ("GET", "/api/drafts/../export", 400, "invalid"),
        ("GET", "/api//stories", 404, "not_found"),
        ("GET", f"/api/drafts/{STORY}/export?format=../x", 400, "invalid"),
    ],
)
def test_errors_are_json(edge: EdgeServer, method: str, path: str, status: int, code: str) -> None:
    reply = ask(edge.port, method, path)
    assert (reply.status, reply.json["error"]["code"]) == (status, code)


@pytest.mark.app
def test_an_unexpected_error_shows_no_details(edge: EdgeServer) -> None:
    reply = ask(edge.port, "POST", "/api/stories", '{"mode":"continue","prompt":"break"}')
    assert (reply.status, reply.json["error"]["code"]) == (500, "internal")
    assert b"secret" not in reply.body
