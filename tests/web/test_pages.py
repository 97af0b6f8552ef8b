"""The page, its files and their caching."""

from __future__ import annotations

import pytest

from tests.web.conftest import EdgeServer
from tests.web.raw_page import ask


@pytest.mark.app
def test_the_page_has_a_fresh_nonce_and_the_build_hash(edge: EdgeServer) -> None:
    first, second = ask(edge.port, "GET", "/"), ask(edge.port, "GET", "/")
    nonce, build = first.body.decode().removeprefix("<p>").removesuffix("</p>").split()
    assert build == "abc"
    assert f"'nonce-{nonce}'" in first.headers["Content-Security-Policy"]
    assert first.body != second.body


@pytest.mark.app
def test_only_files_of_the_current_build_are_cached(edge: EdgeServer) -> None:
    kept = {
        path: "immutable" in ask(edge.port, "GET", f"/static/{path}").headers["Cache-Control"]
        for path in ("app.js?v=abc", "app.js", "app.js?v=old", "config.js?v=abc")
    }
    assert kept == {"app.js?v=abc": True, "app.js": False, "app.js?v=old": False, "config.js?v=abc": False}
