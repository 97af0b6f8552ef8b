"""The bundled model in the page: it writes a story from an empty desk and continues from typed text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from generator.models.bundled import NAME
from tests.browser.desks import Desks, pages_of_one_person, server_behind
from tests.rig.fault_proxy import FaultProxy

pytestmark = [pytest.mark.browser, pytest.mark.model, pytest.mark.slow]
WRITES_MS = 180_000
HAS_WORDS = "count => (document.querySelector('.cm-content')?.innerText ?? '').split(/\\s+/).length > count"


@pytest.fixture
def desks(browser: Browser, tmp_path: Path) -> Iterator[Desks]:
    """The pages of a server with torch; the server of the other tests has none."""
    with (
        FaultProxy(0, "browser") as network,
        server_behind(network, tmp_path, fakes="", real=True) as app,
        pages_of_one_person(app, network, browser, viewport={"width": 1280, "height": 800}) as made,
    ):
        yield made


def test_a_real_model_continues_from_typed_text(desks: Desks) -> None:
    desk = desks.open()
    desk.page.locator("textarea").fill("Once upon a time, there lived a lighthouse keeper who")
    desk.choose_models(NAME)
    desk.button("Start writing").click()
    desk.page.wait_for_function(HAS_WORDS, arg=20, timeout=WRITES_MS)
    desk.caret_to_end()
    desk.type(" Suddenly the green dragon sneezed, and")
    desk.wait_until_saved()
    written = len(desk.text().split())
    desk.page.wait_for_function(HAS_WORDS, arg=written + 6, timeout=WRITES_MS)
    desk.pause()
    before, after = desk.text().split(" Suddenly the green dragon sneezed, and")
    assert before.startswith("Once upon a time")
    assert len(after.split()) >= 6
