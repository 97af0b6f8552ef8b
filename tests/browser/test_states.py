"""States: every state of the page can be reached and breaks no rule of accessibility, light or dark."""

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
def test_every_state_is_accessible(state: State, app: AppServer, network: FaultProxy, browser: Browser) -> None:
    # Without reduced motion, colours would be measured in the middle of a transition.
    with pages_of_one_person(app, network, browser, reduced_motion="reduce") as desks:
        desk = state(desks)
        assert violations(desk.page) == []
        desk.page.emulate_media(color_scheme="dark")
        assert violations(desk.page) == [], "dark"
        # The browser itself logs an error when a draft is deleted or the network is cut during a handshake.
        expected = ("status of 4", "closed before receiving a handshake")
        desk.complaints[:] = [text for text in desk.complaints if not any(words in text for words in expected)]
