"""Fixtures: one real server per async mode, shared by the tests that do not stop or break it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.app.server import AppServer, running_server

MODES = os.environ.get("STORYGEN_TEST_ASYNC", "eventlet,threading").split(",")


@pytest.fixture(scope="package", params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    """The async mode of the server."""
    return str(request.param)


@pytest.fixture(scope="package")
def app(mode: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with running_server(tmp_path_factory.mktemp("data"), mode) as server:
        yield server
