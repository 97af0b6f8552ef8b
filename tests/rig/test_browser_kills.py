"""Browser kills: a tab is closed, crashed, reloaded or offline, or the browser is killed, while a person types.

Every character older than a quarter of a second is on the server, or is restored by the next page.
"""

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
STORY_STRIKES = 10  # per story, so that its text fits on the screen
OLD_SECONDS = 0.25
PATIENCE_SECONDS = 60.0
FIRST_LETTER = 0x4E00  # letters that no model writes, each typed once
NETWORKS = ("refused and cut", "black hole", "half-open: the server hears nothing")


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> None:
    """Replaces the general check, since the browser ends its own processes late, as in tests/browser."""


@dataclass
class Person:
    """A person with one browser profile and up to two tabs on the same story.

    `typed` is the time of each letter. A letter typed before `old` must not be lost.
    """

    app: AppServer
    network: FaultProxy
    playwright: Playwright
    profile: Path
    randomness: random.Random
    story: str = ""
    draft: str = ""
    typed: dict[str, float] = field(default_factory=dict)
    old: float = 0.0
    tabs: list[DeskPage] = field(default_factory=list)
    context: BrowserContext | None = None

    def begin_story(self) -> None:
        """Begin a new story and forget the letters of the last one."""
        made = create_story(self.app.port, self.app.cookie)
        self.story, self.draft, self.typed = made["id"], made["drafts"][0]["id"], {}

    def open_tabs(self, tabs: int) -> None:
        """Open the story until there are `tabs` tabs, starting the browser with its profile if it does not run."""
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
        """Type in random tabs."""
        for _ in range(letters):
            letter = chr(FIRST_LETTER + len(self.typed))
            self.typed[letter] = float("inf")  # until it has been typed
            self.randomness.choice(self.tabs).page.keyboard.insert_text(letter)
            self.typed[letter] = time.monotonic()
            time.sleep(self.randomness.random() * 0.1)

    def stay(self) -> None:
        """Leave all tabs open, so that every letter must arrive."""
        self.old = float("inf")

    def close_tab(self) -> None:
        """Close the last tab."""
        self._strike_now()
        self.tabs.pop().page.close()

    def _strike_now(self) -> None:
        """Note the time of the strike."""
        self.old = time.monotonic() - OLD_SECONDS

    def reload(self) -> None:
        """Reload a random tab."""
        self._strike_now()
        tab = self.randomness.choice(self.tabs)
        tab.page.reload()
        expect(tab.text_field).to_have_attribute("contenteditable", "true", timeout=PATIENCE_SECONDS * 1000)
        tab.caret_to_end()

    def crash_tab(self) -> None:
        """Crash the last tab's process."""
        self._strike_now()
        tab = self.tabs.pop()
        with suppress(Error):  # the tab cannot answer any more
            tab.page.goto("chrome://crash", timeout=5_000)
        tab.page.close()

    def kill_browser(self) -> None:
        """Kill all processes of the profile at once, as the system does when memory runs out."""
        self._strike_now()
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):
                if f"--user-data-dir={self.profile}" in process.cmdline():
                    process.kill()
        self.leave()

    def leave(self) -> None:
        """Close the browser if it runs."""
        if self.context is not None:
            with suppress(Error):
                self.context.close()
        self.context, self.tabs = None, []

    def lose_network(self) -> None:
        """Type without a network. Before it returns, the page may be lost as well."""
        self.network.strike(FAULTS[self.randomness.choice(NETWORKS)])
        self.type(self.randomness.randrange(3, 12))
        self.randomness.choice([self.reload_offline, self.close_tab, self.kill_browser, self.stay])()
        self.network.heal()

    def reload_offline(self) -> None:
        """Reload the last tab, which fails, and close it."""
        self._strike_now()
        tab = self.tabs.pop()
        with suppress(Error):  # the page cannot be loaded
            tab.page.reload(timeout=500)
        tab.page.close()

    def recovered(self) -> str:
        """The text that the tabs show as recovered."""
        panels = [tab.page.get_by_role("region", name="Recovered text") for tab in self.tabs]
        return "".join(text for panel in panels for text in panel.all_inner_texts())

    def missing(self, before: float) -> str:
        """The letters typed before the time `before` that are neither on the server nor shown as recovered."""
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
def person_with_browser(folder: Path, seed: int) -> Iterator[Person]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with pytest.MonkeyPatch.context() as patch, FaultProxy(port, str(seed)) as network, sync_playwright() as playwright:
        patch.setenv("STORYGEN_PUBLIC_ORIGIN", f"http://127.0.0.1:{network.port}")
        with running_server(folder / "data", "eventlet", port=port) as app:
            person = Person(app, network, playwright, folder / "profile", random.Random(seed))
            yield person
            person.leave()


def run_strikes(folder: Path, names: list[str]) -> None:
    """Let a person type, strike once per name, and check after each strike that no old letter is missing."""
    seed = new_seed()
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    typed = lost_young = 0
    with person_with_browser(folder, seed) as person:
        for number, name in enumerate(names):
            if number % STORY_STRIKES == 0:
                person.leave()
                person.begin_story()
            person.open_tabs(tabs=person.randomness.choice([1, 2]))
            already = len(person.typed)
            person.type(person.randomness.randrange(5, 25))
            STRIKES[name](person)
            typed += len(person.typed) - already
            person.open_tabs(tabs=len(person.tabs) + 1)  # a new page restores the edits that a lost page kept
            deadline = time.monotonic() + PATIENCE_SECONDS
            while missing := person.missing(person.old):
                ages = [round(person.old + OLD_SECONDS - person.typed[letter], 2) for letter in missing]
                assert time.monotonic() < deadline, f"{name} lost {missing}, typed {ages} seconds before"
                time.sleep(0.1)
            # Younger letters may be lost. They are not looked for again.
            for letter in person.missing(float("inf")):
                lost_young += 1
                person.typed[letter] = float("inf")
    kinds = {name: names.count(name) for name in STRIKES}
    show("browser kills", seed, strikes=len(names), **kinds, typed=typed, lost=0, lost_younger_than_250_ms=lost_young)


def test_typed_text_survives_a_killed_browser_and_a_lost_network(tmp_path: Path) -> None:
    run_strikes(tmp_path, ["browser killed", "network lost"])


@pytest.mark.long
def test_typed_text_survives_very_many_strikes(tmp_path: Path) -> None:
    run_strikes(tmp_path, (list(STRIKES) * LONG_STRIKES)[: share(LONG_STRIKES)])
