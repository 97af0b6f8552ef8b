"""`/livez`, `/readyz` and `/metrics`."""

from __future__ import annotations

import pytest

from tests.web.conftest import EdgeServer
from tests.web.raw_page import ask


@pytest.mark.app
def test_a_running_server_answers_health_requests(edge: EdgeServer) -> None:
    assert ask(edge.port, "GET", "/livez").status == 200
    assert ask(edge.port, "GET", "/readyz").json == {"state": "ready"}
    assert b"story_hub_lag_seconds_bucket" in ask(edge.port, "GET", "/metrics").body
    assert ask(edge.port, "GET", "/metrics", X_Forwarded_For="192.0.2.1").status == 404
