"""`/livez`, `/readyz` and `/metrics`: the state of the server, and the addresses that may read the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.web.conftest import EdgeServer
from tests.web.raw_page import ask
from web.guards import FORWARDED
from web.health import health
from web.metrics import Metrics


@dataclass
class Drafts:
    """The two questions that health asks of the open drafts."""

    engine_is_up: bool
    problem: str | None

    def storage_problem(self) -> str | None:
        return self.problem


def client_of(engine_is_up: bool = True, problem: str | None = None, is_stopping: bool = False) -> FlaskClient:
    flask = Flask("test")
    drafts: Any = Drafts(engine_is_up, problem)
    flask.register_blueprint(health(drafts, Metrics(), lambda: is_stopping))
    return flask.test_client()


@pytest.mark.parametrize(
    ("engine_is_up", "problem", "is_stopping"), list(product([True, False], [None, "The disk is full."], [False, True]))
)
def test_ready_means_that_stories_are_stored_and_a_model_can_write(
    engine_is_up: bool, problem: str | None, is_stopping: bool
) -> None:
    client = client_of(engine_is_up, problem, is_stopping)
    if is_stopping:
        expected = "stopping"
    elif problem is not None:
        expected = "storage"
    else:
        expected = "ready" if engine_is_up else "engine_down"
    reply = client.get("/readyz")
    assert (reply.json, reply.status_code) == ({"state": expected}, 200 if expected == "ready" else 503)
    assert client.get("/livez").json == {"state": "alive"}, "the process is alive in every state"


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("127.0.0.1", 200),
        ("127.9.9.9", 200),
        ("::1", 200),
        ("192.0.2.1", 404),
        ("10.0.0.1", 404),
        ("", 404),
        ("x", 404),
    ],
)
def test_metrics_are_shown_to_this_computer_only(address: str, status: int) -> None:
    assert client_of().get("/metrics", environ_base={"REMOTE_ADDR": address}).status_code == status


@pytest.mark.parametrize("forwarded", [{FORWARDED: True}, {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}])
def test_metrics_are_not_shown_through_a_proxy(forwarded: dict[str, Any]) -> None:
    here = {"REMOTE_ADDR": "127.0.0.1"}
    assert client_of().get("/metrics", environ_base=here | forwarded).status_code == 404
    assert client_of().get("/metrics", environ_base=here | {FORWARDED: False}).status_code == 200


@pytest.mark.app
def test_a_running_server_answers_health_requests(edge: EdgeServer) -> None:
    assert ask(edge.port, "GET", "/livez").status == 200
    assert ask(edge.port, "GET", "/readyz").json == {"state": "ready"}
    assert b"story_hub_lag_seconds_bucket" in ask(edge.port, "GET", "/metrics").body
    assert ask(edge.port, "GET", "/metrics", X_Forwarded_For="192.0.2.1").status == 404
