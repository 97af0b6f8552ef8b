"""The first word: the wait from a click on *Start writing* to the first word on screen, with the bundled model.

Run it as `python -m benchmarks.parts.first_word [ROUNDS]`. It uses a real Chromium, twice with a server that has just
been started and ROUNDS times (seven) with its model loaded. Each round begins on the empty start page with another
opening. It takes about a minute; longer where the kernels have yet to be compiled, in which case that first start is
not counted. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Page, expect, sync_playwright

from generator.models.bundled import NAME
from tests.app.server import AppServer, running_server
from tests.browser.conftest import CHROMIUM, FLAGS

COLD_STARTS = 2
WRITES_MS = 300_000
BEGINNINGS = (
    "Once upon a time, in a village by the sea, there lived a lighthouse keeper who",
    "The letter had been in the drawer for forty years before anyone thought to",
    "Nobody on the night train spoke until the lights went out, and then",
    "It was the last summer before the dam was built, and the children",
)
# The time from the click to the frame that shows a letter by the model. A message that is posted in a frame's
# callback is delivered after that frame.
WATCH = """() => {
  window.clicked = window.shown = 0
  addEventListener('click', event => (clicked ||= event.timeStamp), true)
  const look = () => {
    const seen = [...document.querySelectorAll('.cm-content .by-model')].some(part => /\\S/.test(part.textContent))
    if (!seen) return requestAnimationFrame(look)
    const drawn = new MessageChannel()
    drawn.port1.onmessage = () => (shown = performance.now())
    drawn.port2.postMessage(null)
  }
  look()
}"""


def wait_once(page: Page, address: str, beginning: str) -> float:
    """Seconds from the click to the first word, on a page that was just opened."""
    page.goto("about:blank")
    page.goto(address)
    page.locator("textarea").fill(beginning)
    start = page.get_by_role("button", name="Start writing")
    expect(start).to_be_enabled()
    expect(page.get_by_role("checkbox", name=NAME, exact=True)).to_be_checked()
    page.evaluate(WATCH)
    start.click()
    page.wait_for_function("() => shown > 0", timeout=WRITES_MS)
    seconds: float = page.evaluate("(shown - clicked) / 1000")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Start", exact=True)).to_be_visible()
    return round(seconds, 2)


def waits(browser: Browser, server: AppServer, rounds: int) -> list[float]:
    """The waits of `rounds` rounds behind one server."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    found = [
        wait_once(page, f"http://127.0.0.1:{server.port}", BEGINNINGS[number % len(BEGINNINGS)])
        for number in range(rounds)
    ]
    context.close()
    return found


def measure(rounds: int) -> dict[str, list[float]]:
    """The waits behind a server that was just started (`cold`) and with the model loaded (`loaded`)."""
    cold, loaded = [], []
    options = ("--threads", str(os.cpu_count()))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        # The first start is not counted: it may have to compile the kernels and read the model's files from disk.
        for start in range(COLD_STARTS + 1):
            last = start == COLD_STARTS
            with (
                tempfile.TemporaryDirectory() as data,
                running_server(Path(data), "eventlet", fakes="", options=options, real=True) as server,
            ):
                first, *later = waits(browser, server, 1 + (rounds if last else 0))
                cold += [first] if start else []
                loaded += later
        browser.close()
    return {"cold": cold, "loaded": loaded}


def main(rounds: int) -> None:
    found = measure(rounds)
    print(f"{'seconds from click to word':28}{'median':>8}{'longest':>9}{'times':>7}")
    for name, seconds in found.items():
        print(f"{name:28}{median(seconds):8.2f}{max(seconds):9.2f}{len(seconds):7}")
    print(json.dumps({"model": NAME, **{f"{name}_seconds": seconds for name, seconds in found.items()}}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
