"""Desks: the pages of one person in one browser profile, and the network and server behind them."""

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
    """The pages of one person in one browser profile."""

    app: AppServer
    network: FaultProxy
    context: BrowserContext
    writer: str = "Fake"  # the model that writes, unless a state needs another
    pages: list[DeskPage] = field(default_factory=list)

    def open(self, story: str = "") -> DeskPage:
        desk = DeskPage(self.context.new_page(), f"http://127.0.0.1:{self.network.port}")
        self.pages.append(desk)
        desk.open(story)
        return desk

    def story(self, **request: Any) -> tuple[str, str]:
        """Create a story; return its id and its draft's id. `Fake` writes about 30 tokens a second."""
        made = create_story(self.app.port, self.app.cookie, **request)
        return made["id"], made["drafts"][0]["id"]

    def server_text(self, draft: str) -> str:
        """Return the server's text, with surrogate pairs joined to characters."""
        text: str = json.loads(json.dumps(self.app.text(draft)))
        return text


@contextmanager
def server_behind(network: FaultProxy, data: Path, **options: Any) -> Iterator[AppServer]:
    """Run a server whose public address is the network's end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORYGEN_PUBLIC_ORIGIN", f"http://127.0.0.1:{network.port}")
        with running_server(data, "eventlet", **options) as server:
            network.target = server.port
            yield server


@contextmanager
def pages_of_one_person(
    app: AppServer, network: FaultProxy, browser: Browser, writer: str = "Fake", **context: Any
) -> Iterator[Desks]:
    """Open a browser profile for one person. At the end the network is healed, and no page may have logged an error."""
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
