"""Memory: a page that stays open holds the text and its lines, but no objects for every update."""

from __future__ import annotations

import time

import pytest

from tests.browser.desk_page import PATIENCE_MS
from tests.browser.desks import Desks
from tests.browser.heap import live_objects

pytestmark = [pytest.mark.browser, pytest.mark.app]
TIMES = 60
# One object per update would be six times this number.
SLACK = TIMES * 2 // 6


def write_and_take_back(desks: Desks, draft: str, times: int) -> None:
    """Another page inserts and deletes a text `times` times: `2 * times` updates that leave the text the same."""
    with desks.app.page(draft) as other:
        end = len(other.text)
        both = [{"changes": [end, [0, " and so on"]]}, {"changes": [end, [len(" and so on")]]}]
        goal = other.revision + 2 * times
        for _ in range(times):
            answer = other.try_to("edit", revision=other.revision, client="e" * 32, updates=both)
            assert answer["ok"], answer
        other.wait_until(lambda: other.revision == goal)


def test_memory_does_not_grow_with_the_number_of_updates(desks: Desks) -> None:
    story, draft = desks.story(prompt="Once upon a time there was a lighthouse.")
    desk = desks.open(story)
    session = desks.context.new_cdp_session(desk.page)
    desk.caret_to_end()
    desk.type(" Its keeper never slept.")  # an undo step, which every update of others must map
    desk.wait_until_saved()
    write_and_take_back(desks, draft, 10)
    desk.page.wait_for_timeout(1_000)  # words and strokes are updated every half second
    before = live_objects(session)
    write_and_take_back(desks, draft, TIMES)
    patience = time.monotonic() + PATIENCE_MS / 1_000
    while (more := live_objects(session) - before) > SLACK and time.monotonic() < patience:
        desk.page.wait_for_timeout(500)
    assert more <= SLACK
    assert desk.text() == "Once upon a time there was a lighthouse. Its keeper never slept."
