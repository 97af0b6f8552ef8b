"""Fixtures: one server for the tests that do not stop or break it, in eventlet mode, which is the default."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.app.server import AppServer, running_server


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with running_server(tmp_path_factory.mktemp("data"), "eventlet", fakes="instant,paced-10,paced-30") as server:
        yield server
