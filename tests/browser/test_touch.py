"""Touch screens: touch targets are large enough, and the caret is the system's own."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.app.server import AppServer
from tests.browser.desks import pages_of_one_person
from tests.rig.fault_proxy import FaultProxy

pytestmark = [pytest.mark.browser, pytest.mark.app]

FINGER_PX = 44
# Every control; a labelled control counts with its label.
TARGETS = """() => [...document.querySelectorAll('button, select, summary, a.chip, label:has(input)')]
  .filter(target => target.offsetParent && !target.closest('.examples'))
  .map(target => [target.innerText || target.ariaLabel, target.getBoundingClientRect().height])"""


def test_touch_targets_are_large_enough(app: AppServer, network: FaultProxy, browser: Browser) -> None:
    phone: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
    with pages_of_one_person(app, network, browser, **phone) as desks:
        desk = desks.open()
        expect(desk.page.get_by_text("Fake", exact=True)).to_be_visible()
        desk_targets = desk.page.evaluate(TARGETS)
        story, _ = desks.story()
        desk.open(story)
        sheet_targets = desk.page.evaluate(TARGETS)
        for name, height in [*desk_targets, *sheet_targets]:
            assert height >= FINGER_PX, name
        assert len(desk_targets) > 5
        assert len(sheet_targets) > 4
        assert desk.page.locator(".cm-cursor").count() == 0
