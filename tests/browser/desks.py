"""The pages of one person, in one browser profile, and the network and server behind them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.app.live_page import create_story
from tests.app.server import AppServer, running_server
from tests.browser.desk_page import DeskPage
from tests.rig.fault_proxy import FaultProxy


@dataclass
class Desks:
    """Pages of one person, in one browser profile."""

    app: AppServer
    network: FaultProxy
    context: BrowserContext
    writer: str = "Fake"  # the model that writes, where a state does not need another
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


@contextmanager
def server_behind(network: FaultProxy, data: Path, **options: Any) -> Iterator[AppServer]:
    """A server, as `running_server` makes it, which takes the network's end for its public address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORYGEN_PUBLIC_ORIGIN", f"http://127.0.0.1:{network.port}")
        with running_server(data, "eventlet", **options) as server:
            network.target = server.port
            yield server


@contextmanager
def pages_of_one_person(
    app: AppServer, network: FaultProxy, browser: Browser, writer: str = "Fake", **context: Any
) -> Iterator[Desks]:
    """No page may have complained when it ends; the network is whole again then."""
    profile = browser.new_context(**context)
    name, _, value = app.cookie.partition("=")
    profile.add_cookies([{"name": name, "value": value, "url": f"http://127.0.0.1:{network.port}"}])
    desks = Desks(app, network, profile, writer)
    try:
        yield desks
        complaints = [complaint for desk in desks.pages for complaint in desk.complaints]
    finally:
        profile.close()
        network.heal()
    assert complaints == []
