"""Load: crowds lose no edit, and pages that connect and disconnect leave nothing on the server."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.app.server import ROOT, AppServer, running_server
from tests.rig.figures import Stolen, edit_answers, hub_lag, new_seed, share, show
from tests.web.raw_page import RawPage, ask, cookie_of

pytestmark = pytest.mark.app

IDLE = 1000
IDLE_BYTES = 150 * 2**20
VISITS = 10_000
# After this many connections Python's collector has examined everything once (docs/experiments/0034).
WARM = 7_000


def run_crowd(app: AppServer, connected: int, writing: int, seconds: float) -> None:
    seed = new_seed()
    figures = [connected, writing, seconds, seed]
    stolen = Stolen()
    command = [sys.executable, "-W", "ignore", "-m", "tests.rig.load", str(app.port), *map(str, figures)]
    ended = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, timeout=seconds + 300, check=True)
    found: dict[str, Any] = json.loads(ended.stdout)
    found |= {"hub_lag_below_ms": hub_lag(app.port), "answered_below_ms": edit_answers(app.port)}
    show("load", seed, connected=connected, writing=writing, seconds=seconds, stolen=stolen.share(), **found)
    assert (found["lost"], found["divergent"]) == (0, 0)
    assert found["edits"] > writing
    assert found["chunks"] > writing


def test_three_people_write_while_nine_pages_watch(app: AppServer) -> None:
    run_crowd(app, connected=12, writing=3, seconds=3)


@pytest.mark.long
def test_fifty_people_write_with_two_hundred_pages_open(tmp_path: Path) -> None:
    with running_server(tmp_path, "eventlet", fakes="paced-10") as app:
        run_crowd(app, connected=200, writing=50, seconds=share(600))


def resources(app: AppServer) -> dict[str, int]:
    """The resources that a connection could leave behind."""
    return {
        "descriptors": app.process.num_fds(),
        "threads": app.process.num_threads(),
        "connections": connections(app),
        "bytes": app.process.memory_info().rss,
    }


def connections(app: AppServer) -> int:
    text = ask(app.port, "GET", "/metrics").body.decode()
    return int(float(text.partition("\nstory_ws_connections ")[2].partition("\n")[0]))


def connect_and_leave(app: AppServer, times: int) -> None:
    draft = app.draft()
    for number in range(times):
        with RawPage(app.port, app.cookie) as page:
            assert page.call("open", {"draft": draft})["ok"]
            if number % 2:
                page.send("41/story,")


def assert_as_before(app: AppServer, times: int, warming: int, growth: float) -> None:
    """Assert that connections leave nothing behind. Memory may grow by `growth` MB."""
    connect_and_leave(app, warming)  # the first connections fill caches
    wait_until_gone(app)
    before = resources(app)
    connect_and_leave(app, times)
    wait_until_gone(app)
    after = resources(app)
    show("connections that come and go", 0, times=times, warming=warming, before=before, after=after)
    assert after["connections"] == 0
    assert after["descriptors"] <= before["descriptors"] + 3
    assert after["threads"] <= before["threads"] + 3
    assert after["bytes"] - before["bytes"] < growth * 2**20


def wait_until_gone(app: AppServer) -> None:
    """Wait for the end of all connections, which the server drops two seconds after their last message."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and connections(app):
        time.sleep(0.1)
    time.sleep(3)


def test_a_hundred_visits_leave_nothing_behind(app: AppServer) -> None:
    assert_as_before(app, 100, warming=50, growth=10)


@pytest.mark.long
def test_ten_thousand_visits_leave_nothing_behind(tmp_path: Path) -> None:
    with running_server(tmp_path, "eventlet", fakes="instant") as app:
        connect_and_leave(app, 50)
        at_first = resources(app)["bytes"]
        assert_as_before(app, share(VISITS - WARM), warming=share(WARM), growth=2.5)
        # This bounds the memory that waits for the collector.
        assert resources(app)["bytes"] - at_first < 20 * 2**20


@pytest.mark.long
def test_a_thousand_idle_pages_use_little_memory(tmp_path: Path) -> None:
    with running_server(tmp_path, "eventlet", fakes="instant") as app:
        before = app.process.memory_info().rss
        cookies = [cookie_of(app.port) for _ in range(IDLE // 40)]
        pages = [RawPage(app.port, cookies[number // 40]) for number in range(IDLE)]
        grown = app.process.memory_info().rss - before
        for page in pages:
            page.__exit__()
        show("idle pages", 0, pages=IDLE, grown_mb=round(grown / 2**20, 1))
        assert grown < IDLE_BYTES
