"""Fixtures: one server, one network and one Chromium for all browser tests, and a new browser profile for each test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.app.server import AppServer
from tests.browser.desks import Desks, pages_of_one_person, server_behind
from tests.rig.fault_proxy import FaultProxy

# The system's Chromium, or else the browser that came with Playwright.
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> None:
    """Skip the check after each test: the browser has processes of its own. The check after the run stays."""


@pytest.fixture(scope="package")
def network() -> Iterator[FaultProxy]:
    with FaultProxy(0, "browser") as network:
        yield network


@pytest.fixture(scope="package")
def app(network: FaultProxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    with server_behind(network, tmp_path_factory.mktemp("data")) as server:
        yield server


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def desks(app: AppServer, network: FaultProxy, browser: Browser) -> Iterator[Desks]:
    with pages_of_one_person(app, network, browser, viewport={"width": 1280, "height": 800}) as made:
        yield made
