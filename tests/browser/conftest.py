"""One server, one network and one Chromium for all browser tests; a fresh browser profile for each."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.app.live_page import create_story
from tests.app.server import AppServer, running_server
from tests.browser.desk_page import DeskPage
from tests.browser.slow_link import SlowLink

# The system's Chromium; without one, the browser that came with Playwright.
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
    """The browser starts and ends its own processes as it likes; that none outlives the run is checked all the same."""


@pytest.fixture(scope="package")
def network() -> Iterator[SlowLink]:
    link = SlowLink()
    yield link
    link.close()


@pytest.fixture(scope="package")
def app(network: SlowLink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The server, which takes the network's end for its public address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORYGEN_PUBLIC_ORIGIN", f"http://127.0.0.1:{network.port}")
        with running_server(tmp_path_factory.mktemp("data"), "eventlet") as server:
            network.target = server.port
            yield server


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Desks:
    """Pages of one person, in one browser profile."""

    app: AppServer
    network: SlowLink
    context: BrowserContext
    pages: list[DeskPage] = field(default_factory=list)

    def open(self, story: str = "") -> DeskPage:
        desk = DeskPage(self.context.new_page(), f"http://127.0.0.1:{self.network.port}")
        self.pages.append(desk)
        desk.open(story)
        return desk

    def story(self, **request: Any) -> tuple[str, str]:
        """A new story and its draft. Models: `Fake instant`, or `Fake`, at about 30 tokens a second."""
        made = create_story(self.app.port, self.app.cookie, **request)
        return made["id"], made["drafts"][0]["id"]

    def server_text(self, draft: str) -> str:
        """The text as the server has it, in UTF-8's idea of characters."""
        text: str = json.loads(json.dumps(self.app.text(draft)))
        return text


@pytest.fixture
def desks(app: AppServer, network: SlowLink, browser: Browser) -> Iterator[Desks]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    name, _, value = app.cookie.partition("=")
    context.add_cookies([{"name": name, "value": value, "url": f"http://127.0.0.1:{network.port}"}])
    made = Desks(app, network, context)
    yield made
    complaints = [complaint for desk in made.pages for complaint in desk.complaints]
    context.close()
    network.delay = 0.0
    network.mend()
    assert not complaints
