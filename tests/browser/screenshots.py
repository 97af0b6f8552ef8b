"""Makes docs/screenshots/: every state of the page, light and dark, on a phone, a desk and a very wide screen.

Run it as `python -m tests.browser.screenshots [STATE …]`. States are those of `states.py`, written by the bundled model
where they need no other; one picture more, for the README, is `bundled`. It takes some five minutes.
"""

from __future__ import annotations

import sys
import tempfile
from base64 import b64decode
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from generator.models.bundled import NAME
from tests.app.server import ROOT, AppServer, running_server
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.desk_page import DeskPage
from tests.browser.desks import pages_of_one_person, server_behind
from tests.browser.states import STATES, State
from tests.rig.fault_proxy import FaultProxy

SCREENSHOTS = ROOT / "docs" / "screenshots"
HAS_WORDS = "count => (document.querySelector('.cm-content')?.innerText ?? '').split(/\\s+/).length > count"
WRITES_MS = 180_000
SIZES = ((360, 740), (1440, 900), (2560, 1300))
QUALITY = 80
# Those that the states need; each has a chip of its own in the pictures.
FAKES = "instant,paced-30,raises-1,slow-load"
SCHEMES = ("light", "dark")


def shoot(desk: DeskPage, name: str) -> None:
    """WebP, which Playwright itself does not make: a third of PNG's size, and there are many."""
    session = desk.page.context.new_cdp_session(desk.page)
    for width, height in SIZES:
        desk.page.set_viewport_size({"width": width, "height": height})
        desk.page.wait_for_timeout(200)  # the caret is drawn anew where the text has gone
        for scheme in SCHEMES:
            desk.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
            (SCREENSHOTS / f"{name}-{width}-{scheme}.webp").write_bytes(b64decode(shot["data"]))


def load_bundled(server: AppServer) -> None:
    """Brings its first words about, so that no state waits for them."""
    with server.page(server.draft(model=NAME)) as page:
        page.ask("start", limit=2)
        page.wait_until(lambda: page.revision > 0, WRITES_MS / 1000)


def shoot_state(server: AppServer, network: FaultProxy, browser: Browser, state: State) -> None:
    viewport = {"width": SIZES[1][0], "height": SIZES[1][1]}
    with pages_of_one_person(
        server, network, browser, writer=NAME, viewport=viewport, reduced_motion="reduce"
    ) as desks:
        desk = state(desks)
        desk.page.wait_for_timeout(600)  # words are counted, and the tape is drawn, every half second
        shoot(desk, state.__name__.replace("_", "-"))
        for page in desks.pages:
            page.complaints.clear()


def shoot_bundled(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    desk = DeskPage(context.new_page(), address)
    desk.open()
    expect(desk.button("Start writing")).to_be_enabled()
    desk.page.locator("textarea").fill("Once upon a time, in a village by the sea, there lived a lighthouse keeper who")
    desk.button("Start writing").click()
    desk.page.wait_for_function(HAS_WORDS, arg=75, timeout=WRITES_MS)
    desk.caret_to_end()
    desk.type(" Suddenly the green dragon sneezed, and")
    desk.wait_until_saved()
    desk.wait_for_words(18)
    for scheme in SCHEMES:
        desk.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        desk.page.screenshot(path=SCREENSHOTS / f"bundled-{scheme}.png")
    context.close()


def main(wanted: list[str]) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with FaultProxy(0, "pictures") as network, server_behind(network, Path(data), fakes=FAKES, real=True) as server:
            load_bundled(server)
            for state in STATES:
                if not wanted or state.__name__ in wanted:
                    shoot_state(server, network, browser, state)
        if not wanted or "bundled" in wanted:
            with running_server(Path(data), "eventlet", fakes="", real=True) as server:
                shoot_bundled(browser, f"http://127.0.0.1:{server.port}")
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
