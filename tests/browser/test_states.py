"""Every state of the page can be reached, says what it is, and breaks no rule of accessibility, light or dark."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.app.server import AppServer
from tests.browser.axe import violations
from tests.browser.desks import pages_of_one_person
from tests.browser.states import STATES, State
from tests.rig.fault_proxy import FaultProxy

pytestmark = [pytest.mark.browser, pytest.mark.app]


@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_a_state_is_for_everybody(state: State, app: AppServer, network: FaultProxy, browser: Browser) -> None:
    # Colours that are on their way to others would be measured half way.
    with pages_of_one_person(app, network, browser, reduced_motion="reduce") as desks:
        desk = state(desks)
        assert violations(desk.page) == []
        desk.page.emulate_media(color_scheme="dark")
        assert violations(desk.page) == [], "dark"
        # Deleting a draft, and cutting the network in the middle of a handshake, make the browser itself complain.
        asked_for = ("status of 4", "closed before receiving a handshake")
        desk.complaints[:] = [text for text in desk.complaints if not any(words in text for words in asked_for)]
