"""The outermost layer: hosts, origins and security headers."""

from __future__ import annotations

import pytest

from tests.web.conftest import EdgeServer
from tests.web.raw_page import ask


@pytest.mark.app
def test_every_answer_has_the_security_headers(edge: EdgeServer) -> None:
    for path in ("/", "/livez", "/api/stories", "/nowhere", "/static/app.js", "/socket.io/"):
        headers = ask(edge.port, "GET", path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
