"""Commands: keyboard shortcuts, find and replace, the tape, and continuing from the caret."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.browser.desk_page import PATIENCE_MS
from tests.browser.desks import Desks

pytestmark = [pytest.mark.browser, pytest.mark.app]


def test_a_story_is_written_by_keyboard_alone(desks: Desks) -> None:
    desk = desks.open()
    page = desk.page
    desk.type("Once upon a time")
    models = page.get_by_role("group", name="Models")
    preset = models.locator("label:has(:checked)").inner_text()
    desk.tab_to(models.get_by_label("Fake", exact=True))
    if preset != "Fake":
        page.keyboard.press("Space")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Space")
    expect(models.locator("input:checked")).to_have_count(1)
    desk.tab_to(page.get_by_role("slider", name="Openings"))
    page.keyboard.press("ArrowRight")
    desk.tab_to(desk.button("Start writing"))
    page.keyboard.press("Enter")
    expect(desk.doing.filter(has_text="paused at its limit")).to_have_count(2, timeout=PATIENCE_MS)
    page.keyboard.press("Alt+d")
    page.keyboard.press("Alt+g")
    expect(desk.doing).to_have_count(1)
    expect(desk.button("Pause")).to_be_visible()
    desk.wait_for_words()
    page.keyboard.press("Alt+t")
    page.keyboard.press("Control+End")
    desk.type(" the dragon sneezed")
    desk.wait_for_words(3)
    page.keyboard.press("Control+Enter")
    expect(desk.button("Start")).to_be_visible()
    desk.wait_until_saved()
    assert desk.text().count(" the dragon sneezed") == 1
    page.keyboard.press("Alt+v")
    desk.tab_to(page.get_by_role("slider", name="Daring"))
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("complementary", name="Voice")).to_contain_text("0.95")
    page.keyboard.press("Escape")
    expect(desk.button("Voice")).to_be_focused()
    page.keyboard.press("Alt+z")
    expect(desk.button("2 kept")).to_be_visible()
    page.keyboard.press("Control+k")
    desk.type("library")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Library")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+/")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_contain_text("Continue from here")


def test_find_and_replace_covers_a_long_text_and_can_be_undone(desks: Desks) -> None:
    lines = "\n".join(f"Line {line}: the keeper slept." for line in range(400))
    story, draft = desks.story(prompt=lines)
    desk = desks.open(story)
    page = desk.page
    page.keyboard.press("Control+f")
    desk.type("keeper")
    expect(page.get_by_role("search")).to_contain_text("400")
    page.get_by_role("textbox", name="Replace with").fill("dragon")
    desk.button("Replace all").click()
    desk.wait_until_saved()
    expect(page.get_by_role("search")).to_contain_text("not found")
    assert desks.server_text(draft) == lines.replace("keeper", "dragon")
    page.keyboard.press("Escape")
    page.keyboard.press("Control+z")
    expect(desk.text_field).to_contain_text("keeper")
    desk.wait_until_saved()
    assert desks.server_text(draft) == lines


def test_continue_from_here_keeps_the_text_after_the_caret(desks: Desks) -> None:
    story, draft = desks.story(prompt="It was a dark night. No ship came.")
    desk = desks.open(story)
    desk.caret_to("dark night.")
    desk.button("Continue from here").click()
    expect(desk.button("Pause")).to_be_visible()
    desk.wait_for_words()
    expect(desk.button("Back to the end")).to_have_count(0)
    desk.pause()
    text = desks.server_text(draft)
    assert text.startswith("It was a dark night.")
    assert "No ship came" not in text
    desk.button("1 kept").click()
    desk.page.get_by_role("link", name="Kept version").click()
    kept = "It was a dark night. No ship came."
    assert desk.whole_text(kept) == kept


def test_the_tape_moves_the_caret_to_a_position(desks: Desks) -> None:
    story, _ = desks.story(prompt="\n".join(f"Line {line}." for line in range(300)))
    desk = desks.open(story)
    tape = desk.page.get_by_role("slider", name="Position in the text")
    tape.focus()
    desk.page.keyboard.press("Home")
    expect(desk.text_field.get_by_text("Line 0.", exact=True)).to_be_in_viewport()
    desk.page.keyboard.press("ArrowRight")
    expect(desk.text_field.get_by_text("Line 15.", exact=True)).to_be_in_viewport()
    desk.page.keyboard.press("Enter")
    expect(desk.text_field).to_be_focused()


def test_the_tape_shows_author_and_time_and_moves_the_caret(desks: Desks) -> None:
    story, _ = desks.story(prompt="It was a dark night. " * 3)
    desk = desks.open(story)
    desk.start()
    desk.wait_for_words(20)
    desk.pause()
    desk.caret_to_end()
    desk.type(" No ship came.")
    desk.wait_until_saved()
    tape, told = desk.page.get_by_role("slider", name="Position in the text"), desk.page.locator(".tape + p")
    mine = tape.locator(".stroke.mine")
    expect(tape.locator(".stroke").last).to_contain_class("mine")
    mine.first.hover()
    expect(told).to_have_text("you, at the beginning")
    tape.locator(".stroke:not(.mine)").first.hover()
    expect(told).to_have_text(re.compile(r"^Fake, \d\d:\d\d"))
    mine.last.hover()
    expect(told).to_have_text(re.compile(r"^you, \d\d:\d\d"))
    mine.last.click()
    desk.type(" At all, thought the keeper.")
    assert desk.text().endswith(" At all, thought the keeper. No ship came.")
    tape.focus()
    desk.page.keyboard.press("Home")
    expect(tape).to_have_attribute("aria-valuetext", "0 %: you, at the beginning")


def test_the_voice_panel_charts_the_next_word(desks: Desks) -> None:
    story, draft = desks.story()
    desk = desks.open(story)
    desk.button("Voice").click()
    words = desk.page.get_by_role("table").get_by_role("row")
    expect(words).to_have_count(8)
    desk.button("Most likely").click()
    expect(words.first).to_contain_text("100 %")
    expect(words.last).to_contain_text("out")
    desk.button("Standard").click()
    desk.button("Lock a seed").click()
    expect(desk.button("Unlock")).to_be_visible()
    with desks.app.page(draft) as other:
        sampling = other.opened["settings"]["sampling"]
    assert sampling["temperature"] == 0.9
    assert sampling["seed"] is not None
