"""The page's speed with 100,000 words, three drafts that a model writes, and a person who types, scrolls and searches.

Run it as `python -m benchmarks.parts.page [MINUTES]`: two minutes by default, plus about 20 seconds. The last line is
JSON. Here Chromium draws without a graphics card, on the cores that the server uses too; a person's computer does
better.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import CDPSession, Page, expect, sync_playwright

from tests.app.live_page import create_story
from tests.app.server import running_server
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.desk_page import DeskPage
from tests.browser.heap import heap_mb, live_objects

WORDS = 100_000
PARAGRAPH = "The keeper of the light went down to the sea and did not look back at the tower. " * 5
OPENS_MS = 120_000
# The time from a key to the frame that shows it. A message that is posted in a frame's callback is delivered once
# that frame is drawn.
WATCH = """() => {
  window.seen = { keys: [], long: [] }
  new PerformanceObserver(list => seen.long.push(...list.getEntries().map(entry => entry.duration)))
    .observe({ type: 'longtask' })
  addEventListener('keydown', event => requestAnimationFrame(() => {
    const drawn = new MessageChannel()
    drawn.port1.onmessage = () => seen.keys.push(performance.now() - event.timeStamp)
    drawn.port2.postMessage(null)
  }), true)
}"""
TAKE = "what => seen[what].splice(0)"
PLACES = {"in the middle": 0.5, "at the end": 1.0}


def long_text() -> str:
    """A text of `WORDS` words."""
    return "\n".join([PARAGRAPH.strip()] * (WORDS // len(PARAGRAPH.split())))


def summary(milliseconds: list[float]) -> dict[str, float]:
    """Count, median, 95th percentile and maximum."""
    ordered = sorted(milliseconds)
    return {
        "count": len(ordered),
        "median": round(median(ordered), 1),
        "p95": round(ordered[int(len(ordered) * 0.95)], 1),
        "most": round(ordered[-1], 1),
    }


def type_at(desk: DeskPage, share: float) -> dict[str, float]:
    """Key to paint, in milliseconds, while a person types at one place of the text."""
    desk.page.locator(".cm-content").first.focus()
    desk.page.keyboard.press("Control+Home" if share < 1 else "Control+End")
    if share < 1:
        desk.page.get_by_role("slider", name="Place in the text").press("ArrowRight")
        for _ in range(round(share * 20) - 1):
            desk.page.keyboard.press("ArrowRight")
        desk.page.keyboard.press("Enter")
    desk.page.wait_for_timeout(1_000)
    desk.page.evaluate(TAKE, "keys")
    desk.page.keyboard.type("Suddenly the green dragon sneezed, and every window in the tower rang. ", delay=90)
    return summary(desk.page.evaluate(TAKE, "keys"))


def long_tasks(page: Page, act: Any) -> list[int]:
    """The durations of tasks longer than 50 ms while `act` runs, in milliseconds."""
    page.evaluate(TAKE, "long")
    act()
    page.wait_for_timeout(500)
    return [round(task) for task in page.evaluate(TAKE, "long")]


def scroll(page: Page) -> None:
    """Scroll up by the mouse wheel, then down again."""
    page.mouse.move(240, 400)
    for step in range(80):
        page.mouse.wheel(0, -700 if step < 60 else 900)
        page.wait_for_timeout(25)


def measure(desk: DeskPage, session: CDPSession, texts: Callable[[], list[str]], minutes: float) -> dict[str, Any]:
    """Measure opening, typing, scrolling and searching, then the heap for the rest of `minutes`."""
    page = desk.page
    began = time.monotonic()
    expect(page.locator(".cm-content[contenteditable=true]")).to_have_count(3, timeout=OPENS_MS)
    found: dict[str, Any] = {"open_seconds": round(time.monotonic() - began, 1)}
    page.evaluate(WATCH)
    desk.button("Start all").click()
    expect(desk.doing.filter(has_text="tok/s")).to_have_count(3, timeout=OPENS_MS)
    found["key_to_paint_ms"] = {place: type_at(desk, share) for place, share in PLACES.items()}
    found["long_tasks_writing_ms"] = long_tasks(page, lambda: page.wait_for_timeout(5_000))
    found["long_tasks_scrolling_ms"] = long_tasks(page, lambda: scroll(page))
    page.keyboard.press("Control+f")
    page.keyboard.type("dragon", delay=90)
    found["long_tasks_finding_ms"] = long_tasks(page, lambda: page.wait_for_timeout(3_000))
    page.keyboard.press("Escape")
    kept = [kept_objects(session, texts())]
    found["heap_mb_by_minute"] = heap_series(page, session, began + minutes * 60)
    found["kept"] = [*kept, kept_objects(session, texts())]
    found["heap_mb_of_a_new_page"] = heap_of_a_new_page(page, session)
    return found


def kept_objects(session: CDPSession, texts: list[str]) -> dict[str, int]:
    """The number of live objects, lines and units of text: the editor keeps the height of every drawn line."""
    lines, units = sum(text.count("\n") for text in texts), sum(map(len, texts))
    return {"objects": live_objects(session), "lines": lines, "units": units}


def heap_of_a_new_page(page: Page, session: CDPSession) -> float:
    """The heap of a page that has just opened the same texts: little code has run and few lines are drawn."""
    page.get_by_role("button", name="Pause all").click()
    page.reload()
    expect(page.locator(".cm-content[contenteditable=true]")).to_have_count(3, timeout=OPENS_MS)
    page.wait_for_timeout(5_000)
    return heap_mb(session)


def heap_series(page: Page, session: CDPSession, until: float) -> list[float]:
    """The heap now, after each minute and at `until`, while the drafts are written."""
    series = [heap_mb(session)]
    while (left := until - time.monotonic()) > 0:
        page.wait_for_timeout(min(60, left) * 1_000)
        series.append(heap_mb(session))
        print(f"heap after {len(series) - 1} minutes: {series[-1]} MB", file=sys.stderr, flush=True)
    return series


def main(minutes: float) -> None:
    with (
        tempfile.TemporaryDirectory() as data,
        running_server(Path(data), "eventlet") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        address = f"http://127.0.0.1:{server.port}"
        name, _, value = server.cookie.partition("=")
        context.add_cookies([{"name": name, "value": value, "url": address}])
        story = create_story(server.port, server.cookie, prompt=long_text(), drafts=3)
        desk = DeskPage(context.new_page(), address)
        desk.page.goto(f"{address}/#/story/{story['id']}")
        drafts = [draft["id"] for draft in story["drafts"]]
        session = context.new_cdp_session(desk.page)
        found = measure(desk, session, lambda: [server.text(draft) for draft in drafts], minutes)
        # Printed before the server stops: on a busy machine stopping may fail, and half an hour would be lost.
        print(json.dumps({"words": WORDS, "minutes": minutes, **found}), flush=True)
        browser.close()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 2.0)
