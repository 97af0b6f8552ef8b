"""Makes docs/screenshots/: the real program with the bundled model, as a person sees it.

Run it as `python -m tests.browser.screenshots`. It takes a minute or two: the model really writes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, expect, sync_playwright

from tests.app.server import ROOT, running_server
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.desk_page import DeskPage

SCREENSHOTS = ROOT / "docs" / "screenshots"
HAS_WORDS = "count => (document.querySelector('.cm-content')?.innerText ?? '').split(/\\s+/).length > count"
WRITES_MS = 180_000
LOOKS = {
    "light": {"color_scheme": "light", "viewport": {"width": 1440, "height": 900}},
    "dark": {"color_scheme": "dark", "viewport": {"width": 1440, "height": 900}},
    "narrow": {"color_scheme": "light", "viewport": {"width": 360, "height": 740}},
}


def shoot(browser: Browser, address: str, look: str) -> None:
    context = browser.new_context(**LOOKS[look])  # type: ignore[arg-type]
    desk = DeskPage(context.new_page(), address)
    desk.open()
    page = desk.page
    expect(page.get_by_role("button", name="Start writing")).to_be_visible()
    page.locator("textarea").fill("Once upon a time, in a village by the sea, there lived a lighthouse keeper who")
    page.get_by_role("button", name="Start writing").click()
    page.wait_for_function(HAS_WORDS, arg=75, timeout=WRITES_MS)
    desk.caret_to_end()
    desk.type(" Suddenly the green dragon sneezed, and")
    desk.wait_until_saved()
    desk.wait_for_words(18)
    page.screenshot(path=SCREENSHOTS / f"writing-{look}.png")
    desk.pause()
    desk.button("Voice").click()
    page.screenshot(path=SCREENSHOTS / f"voice-{look}.png")
    context.close()
    assert not desk.complaints, desk.complaints


def shoot_openings(browser: Browser, address: str, look: str) -> None:
    context = browser.new_context(**LOOKS[look])  # type: ignore[arg-type]
    desk = DeskPage(context.new_page(), address)
    desk.open()
    page = desk.page
    page.locator("textarea").fill("The letter had been in the drawer for forty years before anyone thought to")
    page.get_by_role("slider", name="Openings").fill("3")
    page.get_by_role("spinbutton").fill("60")
    page.screenshot(path=SCREENSHOTS / f"start-{look}.png")
    page.get_by_role("button", name="Start writing").click()
    expect(page.get_by_text("paused at its limit")).to_have_count(3, timeout=WRITES_MS)
    page.screenshot(path=SCREENSHOTS / f"openings-{look}.png")
    context.close()


def main() -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        running_server(Path(data), "eventlet", fakes="") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for look in LOOKS:
            shoot(browser, f"http://127.0.0.1:{server.port}", look)
            shoot_openings(browser, f"http://127.0.0.1:{server.port}", look)
        browser.close()


if __name__ == "__main__":
    main()
