"""Openings: several drafts side by side, the choice of one, and the way back to the end of the text."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.desk_page import PATIENCE_MS
from tests.browser.desks import Desks

pytestmark = [pytest.mark.browser, pytest.mark.app]


def test_one_of_three_openings_is_continued(desks: Desks) -> None:
    desk = desks.open()
    page = desk.page
    page.locator("textarea").fill("Once upon a time")
    desk.choose_models("Fake")
    page.get_by_role("slider", name="Openings").fill("3")
    page.get_by_role("spinbutton").fill("12")
    desk.button("Start writing").click()
    expect(desk.doing.filter(has_text="paused at its limit")).to_have_count(3, timeout=PATIENCE_MS)
    openings = [sheet.inner_text() for sheet in page.locator(".cm-content").all()]
    assert len(set(openings)) == 3, "the openings differ"
    page.get_by_role("button", name="Continue with this draft").nth(1).click()
    expect(page.locator(".cm-content")).to_have_count(1)
    expect(desk.button("Pause")).to_be_visible()
    desk.wait_for_words()
    assert desk.text().startswith(openings[1].split("\n")[0][:25])
    desk.pause()
    page.get_by_role("button", name="2 kept").click()
    page.get_by_role("link", name="Opening 1").click()
    expect(page.locator(".cm-content")).to_have_text(openings[0], use_inner_text=True)


def test_two_models_write_one_opening_each_and_the_choice_is_remembered(desks: Desks) -> None:
    desk = desks.open()
    page = desk.page
    page.locator("textarea").fill("Once upon a time in two hands")
    desk.choose_models("Fake", "Fake instant")
    page.get_by_role("spinbutton", name="Tokens per opening").fill("12")
    desk.button("Start writing").click()
    expect(desk.doing.filter(has_text="paused at its limit")).to_have_count(2, timeout=PATIENCE_MS)
    writers = page.get_by_role("combobox", name="Model")
    assert sorted(writer.input_value() for writer in writers.all()) == ["Fake", "Fake instant"]
    chosen = writers.nth(1).input_value()
    page.get_by_role("button", name="Continue with this draft").nth(1).click()
    desk.pause()
    page.goto(desk.address)
    desk.button("Library").click()
    page.get_by_role("dialog").get_by_role("link", name="Once upon a time in two hands").click()
    expect(writers).to_have_count(1)
    expect(writers).to_have_value(chosen)
    desk.button("1 kept").click()
    page.get_by_role("link", name="All openings").click()
    expect(writers).to_have_count(2)


def test_a_button_leads_back_to_the_end(desks: Desks) -> None:
    story, _ = desks.story(prompt="\n\n".join(["A line of text."] * 80))
    desk = desks.open(story)
    back = desk.button("Back to the end")
    desk.start()
    desk.wait_for_words()
    expect(back).to_be_hidden()
    desk.page.mouse.move(600, 400)
    desk.page.mouse.wheel(0, -1500)
    expect(back).to_be_visible()
    back.click()
    expect(back).to_be_hidden()
    expect(desk.end).to_be_in_viewport()
    desk.wait_for_words()
    expect(desk.end).to_be_in_viewport()
    desk.pause()
