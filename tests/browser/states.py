"""States: every state of the page, reached with the fake models, for the tests and the screenshots.

Each function takes the pages of one person and returns a page in its state. The state lasts until the network is
healed.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import Route, expect

from tests.browser.desk_page import PATIENCE_MS, DeskPage
from tests.browser.desks import Desks
from tests.rig.fault_proxy import BLACK_HOLE
from tests.web.raw_page import ask

BEGINNING = (
    "Once upon a time, in a village by the sea, there lived a lighthouse keeper who never slept on the night of the"
    " first storm.\n\nSuddenly the green dragon sneezed, and every window in the tower rang like a bell."
)
WRITES_MS = 120_000  # the most time a real model needs for a short story
SHORT_PREMISE = "A lighthouse keeper finds a letter in a bottle. Tell it in five sentences."
LETTER = "The letter had been in the drawer for forty years before anyone thought to"
State = Callable[[Desks], DeskPage]


def wait_for_state(desk: DeskPage, words: str, patience_ms: int = PATIENCE_MS) -> DeskPage:
    expect(desk.doing.first).to_contain_text(words, timeout=patience_ms)
    return desk


def started(desks: Desks, **request: object) -> DeskPage:
    story, _ = desks.story(**{"prompt": BEGINNING, "model": desks.writer, **request})
    desk = desks.open(story)
    desk.start()
    return desk


def empty(desks: Desks) -> DeskPage:
    desk = desks.open()
    expect(desk.page.get_by_text("Fake", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    return desk


def openings_asked(desks: Desks) -> DeskPage:
    desk = empty(desks)
    desk.page.locator("textarea").fill(LETTER)
    desk.choose_models("Fake", "Fake instant")
    expect(desk.page.get_by_text("openings side by side")).to_be_visible()
    return desk


def writing(desks: Desks) -> DeskPage:
    desk = started(desks)
    desk.wait_for_words(20)
    return wait_for_state(desk, "tok/s")


def held(desks: Desks) -> DeskPage:
    desk = started(desks)
    desk.wait_for_words()
    desk.caret_to_end()
    for key in " The keeper did not turn round":
        desk.page.keyboard.press(key)
    wait_for_state(desk, "waiting while you write")
    desks.network.strike(BLACK_HOLE)
    return desk


def engine_restarting(desks: Desks) -> DeskPage:
    desk = started(desks)
    desk.wait_for_words()
    desks.app.engine().kill()
    wait_for_state(desk, "The engine is starting")
    desks.network.strike(BLACK_HOLE)
    return desk


def loading(desks: Desks) -> DeskPage:
    """Works once per server, because the model is loaded afterwards."""
    story, _ = desks.story(prompt=BEGINNING, model="Fake slow-load")
    desk = desks.open(story)
    desk.button("Start").click()
    desk.page.wait_for_function("() => /Loading, [1-9]\\d? %/.test(document.querySelector('.doing').textContent)")
    desks.network.strike(BLACK_HOLE)
    return desk


def waiting_for_a_turn(desks: Desks) -> DeskPage:
    desk = started(desks)
    desk.wait_for_words()
    engine = desks.app.engine()
    engine.suspend()
    try:
        wait_for_state(desk, "waiting for its turn")
        desks.network.strike(BLACK_HOLE)
    finally:
        engine.resume()
    return desk


def limit_reached(desks: Desks) -> DeskPage:
    """Both of two openings are paused at their limit."""
    desk = empty(desks)
    desk.page.locator("textarea").fill(LETTER)
    desk.choose_models(desks.writer)
    desk.page.get_by_role("slider", name="Openings").fill("2")
    desk.button("Start writing").click()
    expect(desk.doing.filter(has_text="paused at its limit")).to_have_count(2, timeout=PATIENCE_MS)
    return desk


def ended(desks: Desks) -> DeskPage:
    """The story may end at once, so the test does not wait for the start."""
    model = "Fake instant" if desks.writer == "Fake" else desks.writer
    sampling = {"stop_at_end": True, "seed": 3}
    story, _ = desks.story(mode="prompt", prompt=SHORT_PREMISE, model=model, sampling=sampling)
    desk = desks.open(story)
    desk.button("Start").click()
    return wait_for_state(desk, "ended the story", WRITES_MS)


def failed(desks: Desks) -> DeskPage:
    """The failing model continues a story by another model."""
    desk = writing(desks)
    desk.pause()
    desk.page.get_by_role("combobox", name="Model").select_option("Fake raises-1")
    desk.button("Start").click()
    expect(desk.page.get_by_role("alert")).to_be_visible()
    expect(desk.button("Try again")).to_be_visible()
    return desk


def offline(desks: Desks) -> DeskPage:
    desk = started(desks)
    desk.wait_for_words()
    desks.network.cut()
    expect(desk.saved).to_have_text("Offline")
    desk.caret_to_end()
    desk.type(" and")
    expect(desk.saved).to_contain_text("4 changes kept on this device")
    return desk


def outdated(desks: Desks) -> DeskPage:
    """The page speaks an older protocol than the server."""

    def with_old_protocol(route: Route) -> None:
        response = route.fetch()
        route.fulfill(response=response, body=re.sub(r"auth:\{protocol:\d+\}", "auth:{protocol:0}", response.text()))

    desks.context.route("**/app.js*", with_old_protocol)
    desk = desks.open()
    expect(desk.button("Reload the page")).to_be_visible()
    return desk


def text_recovered(desks: Desks) -> DeskPage:
    """Text was typed offline, and the story has changed too much since to merge it."""
    story, draft = desks.story(prompt=BEGINNING)
    desk = desks.open(story)
    desks.network.cut()
    desk.caret_to_end()
    desk.type(" The lamp was lit again.")
    expect(desk.saved).to_contain_text("changes kept on this device")
    edit_often(desks, draft)
    desks.network.heal()
    expect(desk.page.get_by_role("region", name="Recovered text")).to_be_visible()
    desk.wait_until_saved()
    return desk


def edit_often(desks: Desks, draft: str) -> None:
    """Make more changes than the server rebases over. The text stays the same."""
    with desks.app.page(draft) as other:
        same_again = {"changes": [len(other.text) - 1, [1, other.text[-1]]]}
        for _ in range(6):
            revision = other.try_to("edit", revision=other.revision, client="e" * 32, updates=[same_again] * 1_000)
            assert revision["ok"], revision
            other.wait_until(lambda: other.revision % 1_000 == 0)


def gone(desks: Desks) -> DeskPage:
    """The draft is deleted while the page shows it."""
    story, _ = desks.story(prompt=BEGINNING)
    desk = desks.open(story)
    ask(desks.app.port, "DELETE", f"/api/stories/{story}", Cookie=desks.app.cookie)
    desks.network.cut()
    desks.network.heal()
    expect(desk.page.get_by_role("link", name="Back to the start page")).to_be_visible(timeout=PATIENCE_MS)
    return desk


def premise(desks: Desks) -> DeskPage:
    premise = "A dragon applies for a job at the town library."
    story, _ = desks.story(mode="prompt", prompt=premise, model=desks.writer)
    desk = desks.open(story)
    desk.start()
    desk.wait_for_words(12)
    return desk


def voice(desks: Desks) -> DeskPage:
    desk = writing(desks)
    desk.pause()
    desk.button("Voice").click()
    expect(desk.page.get_by_role("table", name="The next word")).to_be_visible()
    return desk


def finding(desks: Desks) -> DeskPage:
    story, _ = desks.story(prompt=BEGINNING)
    desk = desks.open(story)
    desk.page.keyboard.press("Control+f")
    desk.type("the")
    return desk


def keys(desks: Desks) -> DeskPage:
    desk = finding(desks)
    desk.page.keyboard.press("Escape")
    desk.page.keyboard.press("Control+/")
    expect(desk.page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    return desk


def commands(desks: Desks) -> DeskPage:
    desk = finding(desks)
    desk.page.keyboard.press("Control+k")
    expect(desk.page.get_by_role("dialog", name="All commands")).to_be_visible()
    return desk


def library(desks: Desks) -> DeskPage:
    desk = finding(desks)
    desk.button("Library").click()
    expect(desk.page.get_by_role("dialog", name="Library").get_by_role("link").first).to_be_visible()
    return desk


# The states that stop the engine come last, so that no other state waits for its restart.
STATES: tuple[State, ...] = (
    empty,
    openings_asked,
    writing,
    held,
    loading,
    limit_reached,
    ended,
    failed,
    premise,
    voice,
    finding,
    keys,
    commands,
    library,
    offline,
    outdated,
    text_recovered,
    gone,
    waiting_for_a_turn,
    engine_restarting,
)
