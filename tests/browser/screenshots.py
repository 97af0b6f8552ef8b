"""Screenshots: every state of the page, light and dark, on a phone, a desktop and a very wide screen.

Run it as `python -m tests.browser.screenshots [--folder FOLDER] [STATE …]`. The states are in `states.py`; the
bundled model writes unless a state needs another. The state `bundled` is the README's picture, which
`--folder docs/screenshots bundled` renews. All states take about five minutes.
"""

from __future__ import annotations

import argparse
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

FOLDER = ROOT / ".screenshots"
HAS_WORDS = "count => (document.querySelector('.cm-content')?.innerText ?? '').split(/\\s+/).length > count"
WRITES_MS = 180_000
SIZES = ((360, 740), (1440, 900), (2560, 1300))
QUALITY = 80
# The fake models that the states need.
FAKES = "instant,paced-30,raises-1,slow-load"
SCHEMES = ("light", "dark")


def shoot(desk: DeskPage, folder: Path, name: str) -> None:
    """Take pictures in WebP, at a third of PNG's size. Playwright itself does not offer this format."""
    session = desk.page.context.new_cdp_session(desk.page)
    for width, height in SIZES:
        desk.page.set_viewport_size({"width": width, "height": height})
        desk.page.wait_for_timeout(200)  # the caret is drawn again at its new place
        for scheme in SCHEMES:
            desk.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": QUALITY})
            (folder / f"{name}-{width}-{scheme}.webp").write_bytes(b64decode(shot["data"]))


def load_bundled(server: AppServer) -> None:
    """Let the bundled model write two tokens, so that no state waits for it to load."""
    with server.page(server.draft(model=NAME)) as page:
        page.ask("start", limit=2)
        page.wait_until(lambda: page.revision > 0, WRITES_MS / 1000)


def shoot_state(server: AppServer, network: FaultProxy, browser: Browser, state: State, folder: Path) -> None:
    viewport = {"width": SIZES[1][0], "height": SIZES[1][1]}
    with pages_of_one_person(
        server, network, browser, writer=NAME, viewport=viewport, reduced_motion="reduce"
    ) as desks:
        desk = state(desks)
        desk.page.wait_for_timeout(600)  # the word count and the tape are updated every half second
        shoot(desk, folder, state.__name__.replace("_", "-"))
        for page in desks.pages:
            page.complaints.clear()


def shoot_bundled(browser: Browser, address: str, folder: Path) -> None:
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
    desk.page.emulate_media(color_scheme="light")
    desk.page.screenshot(path=folder / "bundled-light.png")
    context.close()


def main(folder: Path, wanted: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with FaultProxy(0, "pictures") as network, server_behind(network, Path(data), fakes=FAKES, real=True) as server:
            load_bundled(server)
            for state in STATES:
                if not wanted or state.__name__ in wanted:
                    shoot_state(server, network, browser, state, folder)
        if not wanted or "bundled" in wanted:
            with running_server(Path(data), "eventlet", fakes="", real=True) as server:
                shoot_bundled(browser, f"http://127.0.0.1:{server.port}", folder)
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Take pictures of the page.")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("states", nargs="*", metavar="STATE")
    given = parser.parse_args()
    main(given.folder, given.states)
