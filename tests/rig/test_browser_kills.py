"""A tab is closed, crashes, is reloaded or loses the network in the middle of typing, or the whole browser is killed:
every character older than a quarter of a second is on the server, or comes back with the next page."""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import BrowserContext, Error, Playwright, expect, sync_playwright

from tests.app.live_page import create_story
from tests.app.server import AppServer, running_server
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.desk_page import DeskPage
from tests.rig.fault_proxy import FAULTS, FaultProxy
from tests.rig.figures import new_seed, share, show

pytestmark = [pytest.mark.browser, pytest.mark.app]

LONG_STRIKES = 100
STORY_STRIKES = 10  # then another story: a text that fits on the screen
OLD_SECONDS = 0.25
PATIENCE_SECONDS = 60.0
FIRST_LETTER = 0x4E00  # letters no model writes, each typed once
NETWORKS = ("refused and cut", "black hole", "half-open: the server hears nothing")


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> None:
    """As in tests/browser: the browser ends its own processes as it likes."""


@dataclass
class Person:
    """Somebody with one browser profile and up to two tabs on the same story. `typed` says when, letter by letter;
    what was typed before `old` must not be lost."""

    app: AppServer
    network: FaultProxy
    playwright: Playwright
    profile: Path
    chance: random.Random
    story: str = ""
    draft: str = ""
    typed: dict[str, float] = field(default_factory=dict)
    old: float = 0.0
    tabs: list[DeskPage] = field(default_factory=list)
    context: BrowserContext | None = None

    def begin_story(self) -> None:
        made = create_story(self.app.port, self.app.cookie)
        self.story, self.draft, self.typed = made["id"], made["drafts"][0]["id"], {}

    def come(self, tabs: int) -> None:
        """Opens the story in so many tabs, in the browser that runs or in a new one with the same profile."""
        address = f"http://127.0.0.1:{self.network.port}"
        if self.context is None:
            self.context = self.playwright.chromium.launch_persistent_context(
                self.profile, executable_path=CHROMIUM, args=FLAGS
            )
            name, _, value = self.app.cookie.partition("=")
            self.context.add_cookies([{"name": name, "value": value, "url": address}])
        while len(self.tabs) < tabs:
            desk = DeskPage(self.context.new_page(), address)
            desk.open(self.story)
            desk.caret_to_end()
            self.tabs.append(desk)

    def type(self, letters: int) -> None:
        for _ in range(letters):
            letter = chr(FIRST_LETTER + len(self.typed))
            self.typed[letter] = float("inf")  # until it has been typed
            self.chance.choice(self.tabs).page.keyboard.insert_text(letter)
            self.typed[letter] = time.monotonic()
            time.sleep(self.chance.random() * 0.1)

    def nothing_more(self) -> None:
        """Nobody ends anything: all of it must arrive."""
        self.old = float("inf")

    def close_tab(self) -> None:
        self._now()
        self.tabs.pop().page.close()

    def _now(self) -> None:
        """Here it strikes."""
        self.old = time.monotonic() - OLD_SECONDS

    def reload(self) -> None:
        self._now()
        tab = self.chance.choice(self.tabs)
        tab.page.reload()
        expect(tab.text_field).to_have_attribute("contenteditable", "true", timeout=PATIENCE_SECONDS * 1000)
        tab.caret_to_end()

    def crash_tab(self) -> None:
        self._now()
        tab = self.tabs.pop()
        with suppress(Error):  # who would answer is gone
            tab.page.goto("chrome://crash", timeout=5_000)
        tab.page.close()

    def kill_browser(self) -> None:
        """All processes of this profile at once, as a crash of the machine's memory would."""
        self._now()
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if f"--user-data-dir={self.profile}" in process.cmdline():
                    process.kill()
        self.leave()

    def leave(self) -> None:
        if self.context is not None:
            with suppress(Error):
                self.context.close()
        self.context, self.tabs = None, []

    def lose_network(self) -> None:
        """Types on without it; then it comes back, or something else happens before it does."""
        self.network.strike(FAULTS[self.chance.choice(NETWORKS)])
        self.type(self.chance.randrange(3, 12))
        self.chance.choice([self.reload_offline, self.close_tab, self.kill_browser, self.nothing_more])()
        self.network.heal()

    def reload_offline(self) -> None:
        self._now()
        tab = self.tabs.pop()
        with suppress(Error):  # nothing can be loaded
            tab.page.reload(timeout=500)
        tab.page.close()

    def recovered(self) -> str:
        """What the tabs show as recovered text."""
        panels = [tab.page.get_by_role("region", name="Recovered text") for tab in self.tabs]
        return "".join(text for panel in panels for text in panel.all_inner_texts())

    def missing(self, before: float) -> str:
        """Letters typed before then that are neither on the server nor shown as recovered."""
        text: str = json.loads(json.dumps(self.app.text(self.draft)))
        assert all(text.count(letter) <= 1 for letter in self.typed), "a letter was doubled"
        there = text + self.recovered()
        return "".join(letter for letter, at in self.typed.items() if at < before and letter not in there)


STRIKES: dict[str, Callable[[Person], None]] = {
    "tab closed": Person.close_tab,
    "tab crashed": Person.crash_tab,
    "reloaded": Person.reload,
    "browser killed": Person.kill_browser,
    "network lost": Person.lose_network,
}


@contextmanager
def somebody(folder: Path, seed: int) -> Iterator[Person]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch, FaultProxy(port, str(seed)) as network, sync_playwright() as playwright:
        patch.setenv("STORYGEN_PUBLIC_ORIGIN", f"http://127.0.0.1:{network.port}")
        with running_server(folder / "data", "eventlet", port=port) as app:
            person = Person(app, network, playwright, folder / "profile", random.Random(seed))
            yield person
            person.leave()


def survive(folder: Path, names: list[str]) -> None:
    seed = new_seed()
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    typed = lost_young = 0
    with somebody(folder, seed) as person:
        for number, name in enumerate(names):
            if number % STORY_STRIKES == 0:
                person.leave()
                person.begin_story()
            person.come(tabs=person.chance.choice([1, 2]))
            already = len(person.typed)
            person.type(person.chance.randrange(5, 25))
            STRIKES[name](person)
            typed += len(person.typed) - already
            person.come(tabs=len(person.tabs) + 1)  # a page that is opened brings back what a lost one kept
            deadline = time.monotonic() + PATIENCE_SECONDS
            while missing := person.missing(person.old):
                ages = [round(person.old + OLD_SECONDS - person.typed[letter], 2) for letter in missing]
                assert time.monotonic() < deadline, f"{name} lost {missing}, typed {ages} seconds before"
                time.sleep(0.1)
            # What was younger and is gone must not be looked for again.
            for letter in person.missing(float("inf")):
                lost_young += 1
                person.typed[letter] = float("inf")
    kinds = {name: names.count(name) for name in STRIKES}
    show("browser kills", seed, strikes=len(names), **kinds, typed=typed, lost=0, lost_younger_than_250_ms=lost_young)


def test_what_was_typed_survives_the_tab_and_the_browser(tmp_path: Path) -> None:
    survive(tmp_path, ["browser killed", "network lost"])


@pytest.mark.long
def test_what_was_typed_survives_very_many_ends(tmp_path: Path) -> None:
    survive(tmp_path, (list(STRIKES) * LONG_STRIKES)[: share(LONG_STRIKES)])
