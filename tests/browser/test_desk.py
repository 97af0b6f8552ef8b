"""The desk around the text: starting a story, controls, library, themes and narrow screens."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from generator.wire.sampling_params import SamplingParams
from tests.browser.desks import Desks

pytestmark = [pytest.mark.browser, pytest.mark.app]
AT_THE_END = """() => {
  const { scrollHeight, scrollTop, clientHeight } = document.querySelector('.cm-scroller')
  return scrollHeight > 2 * clientHeight && scrollHeight - scrollTop - clientHeight < 64
}"""


def test_an_empty_desk_starts_a_story_with_one_button(desks: Desks) -> None:
    desk = desks.open()
    page = desk.page
    desk.choose_models("Fake")
    # The user has written no beginning, so the story begins with the first example.
    desk.button("Start writing").click()
    expect(desk.button("Pause")).to_be_visible()
    desk.wait_for_words()
    address = page.url
    page.reload()
    expect(desk.text_field).to_contain_text("lighthouse keeper who")
    assert page.url == address
    page.keyboard.press("Control+Enter")
    expect(desk.button("Start")).to_be_visible()


def test_a_premise_stays_visible_and_can_be_changed(desks: Desks) -> None:
    desk = desks.open()
    page = desk.page
    page.get_by_text("Writing prompt", exact=True).click()
    page.get_by_role("textbox", name="Writing prompt").fill("A dragon asks for work.")
    desk.choose_models("Fake")
    desk.button("Start writing").click()
    premise = page.get_by_role("textbox", name="Premise, always visible to the model")
    expect(premise).to_have_value("A dragon asks for work.")
    premise.fill("A dragon asks for a rest.")
    premise.blur()
    page.reload()
    expect(premise).to_have_value("A dragon asks for a rest.")


def test_sampling_parameters_are_stored_at_once(desks: Desks) -> None:
    story, draft = desks.story()
    desk = desks.open(story)
    desk.button("Voice").click()
    desk.page.get_by_role("slider", name="Daring").fill("0.3")
    desk.page.get_by_role("textbox", name="Seed").fill("42")
    desk.page.get_by_role("checkbox", name="Let the model end the story").check()
    expect(desk.page.get_by_role("textbox", name="Minimum length in tokens")).to_be_enabled()
    with desks.app.page(draft) as other:
        sampling = other.opened["settings"]["sampling"]
    assert (sampling["temperature"], sampling["seed"], sampling["stop_at_end"]) == (0.3, 42, True)


def test_all_sampling_parameters_can_be_reset(desks: Desks) -> None:
    story, draft = desks.story(
        sampling={"temperature": 0.3, "seed": 42, "banned_words": ["dragon"], "dry_multiplier": 1}
    )
    desk = desks.open(story)
    desk.button("Voice").click()
    desk.page.get_by_role("complementary").get_by_text("More settings", exact=True).click()
    banned = desk.page.get_by_role("textbox", name="Banned words")
    expect(banned).to_have_value("dragon")
    banned.fill("dragon, old  king ,")
    banned.blur()
    expect(banned).to_have_value("dragon, old  king")
    desk.button("Reset all settings").click()
    expect(banned).to_have_value("")
    with desks.app.page(draft) as other:
        assert other.opened["settings"]["sampling"] == SamplingParams().to_json()


def test_the_pace_is_stored(desks: Desks) -> None:
    story, _ = desks.story(sampling={"pace": 77})
    desk = desks.open(story)
    pace = desk.page.get_by_role("combobox", name="Pace")
    expect(pace).to_have_value("77")
    pace.select_option("60, thinking speed")
    desk.page.reload()
    expect(pace).to_have_value("60")
    pace.select_option("as fast as possible")
    desk.page.reload()
    expect(pace).to_have_value("")


def test_each_paragraph_runs_in_its_own_direction(desks: Desks) -> None:
    story, _ = desks.story(prompt="Once upon a time.\nכל הלילות דלק האור.")
    desk = desks.open(story)
    directions = "() => [...document.querySelectorAll('.cm-line')].map(line => getComputedStyle(line).direction)"
    assert desk.page.evaluate(directions) == ["ltr", "rtl"]
    desk.caret_to_end()
    desk.type("א")
    box, paper = desk.page.locator(".cm-cursor").bounding_box(), desk.text_field.bounding_box()
    assert box is not None
    assert paper is not None
    assert paper["x"] + 100 < box["x"] < paper["x"] + paper["width"] - 100, "the caret is left of the text"


def test_another_model_continues_the_story(desks: Desks) -> None:
    story, _ = desks.story()
    desk = desks.open(story)
    desk.start()
    desk.wait_for_words()
    desk.page.get_by_role("combobox", name="Model").select_option("Fake instant")
    desk.page.wait_for_function(
        "() => new Set([...document.querySelectorAll('.by-model')].map(part => part.className)).size > 1"
    )
    desk.pause()


def test_the_end_stays_visible_when_the_window_is_resized(desks: Desks) -> None:
    story, _ = desks.story(prompt="The keeper of the light went down to the sea. " * 40)
    desk = desks.open(story)
    desk.page.set_viewport_size({"width": 360, "height": 640})
    expect(desk.button("More")).to_be_visible()
    desk.page.wait_for_function(AT_THE_END)


def test_undo_model_keeps_the_removed_text(desks: Desks) -> None:
    story, draft = desks.story(prompt="It begins.")
    desk = desks.open(story)
    desk.start()
    desk.wait_for_words()
    desk.button("Undo model").click()
    expect(desk.button("Start")).to_be_visible()
    desk.button("1 kept").click()
    version = desk.page.get_by_role("link", name="Kept version 1, by Fake")
    kept = desks.server_text((version.get_attribute("href") or "").rpartition("/")[2])
    left = desks.server_text(draft)
    assert kept.startswith(left)
    assert len(kept) > len(left)
    version.click()
    assert desk.whole_text(kept) == kept


def test_the_library_renames_and_deletes(desks: Desks) -> None:
    story, _ = desks.story(prompt="A story about to be renamed")
    desk = desks.open(story)
    page = desk.page
    desk.button("Library").click()
    desk.button("Rename A story about to be renamed").click()
    page.get_by_role("textbox", name="New title").fill("The Green Dragon")
    page.keyboard.press("Enter")
    desk.button("Delete The Green Dragon").click()
    desk.button("Delete").click()
    expect(page.get_by_role("link", name="The Green Dragon")).to_have_count(0)
    desk.button("Close").click()
    expect(desk.button("Start writing")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_the_page_is_not_wider_than_the_screen(desks: Desks, width: int, scheme: str) -> None:
    story, _ = desks.story(prompt="Once upon a time, in a village by the sea " * 4)
    desk = desks.open()
    desk.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    desk.page.set_viewport_size({"width": width, "height": 740})
    for place in ("", story):
        desk.open(place)
        wide = desk.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width


def test_the_view_follows_the_end_only_while_the_reader_is_at_the_end(desks: Desks) -> None:
    story, _ = desks.story(prompt="\n".join(f"Line {line}." for line in range(60)))
    desk = desks.open(story)
    desk.start()
    desk.wait_for_words()
    top = "document.querySelector('.cm-scroller').scrollTop"
    expect(desk.end).to_be_in_viewport()
    before = desk.page.evaluate(top)
    desk.page.mouse.move(640, 400)
    for _ in range(20):
        desk.page.mouse.wheel(0, -45)
    desk.page.wait_for_function(f"before => {top} < before - 600", arg=before)
    expect(desk.end).not_to_be_in_viewport()
    still = desk.page.evaluate(top)
    desk.page.wait_for_timeout(700)
    assert desk.page.evaluate(top) == still
    desk.page.mouse.wheel(0, 20_000)
    expect(desk.end).to_be_in_viewport()
    desk.pause()


def test_an_unknown_story_shows_an_alert_and_the_empty_desk(desks: Desks) -> None:
    desk = desks.open()
    desk.page.goto(f"{desk.address}/#/story/{'0' * 32}")
    expect(desk.page.get_by_role("alert")).to_be_visible()
    expect(desk.button("Start writing")).to_be_visible()
    desk.complaints[:] = [complaint for complaint in desk.complaints if "404" not in complaint]
