"""Editing the text during a run: every typed character stays, and the server and all pages agree."""

from __future__ import annotations

from itertools import accumulate

import pytest
from playwright.sync_api import expect

from tests.browser.desk_page import DeskPage
from tests.browser.desks import Desks
from tests.rig.fault_proxy import Fault

pytestmark = [pytest.mark.browser, pytest.mark.app]

BEGINNING = "Once upon a time there was a lighthouse.\nIts keeper never slept."


def agree(desks: Desks, draft: str, *pages: DeskPage) -> str:
    """Return the text that the server and every page hold. No page may be changing it."""
    text = desks.server_text(draft)
    for page in pages:
        assert page.whole_text(text) == text
    return text


def test_text_typed_in_the_middle_and_at_the_end_stays(desks: Desks) -> None:
    story, draft = desks.story(prompt=BEGINNING)
    desk = desks.open(story)
    desk.start()
    desk.wait_for_words()
    desk.caret_to("a lighthouse")
    desk.type(" made of green glass")
    desk.wait_for_words(3)
    desk.caret_to_end()
    desk.type(" Suddenly the dragon sneezed.")
    desk.wait_for_words(3)
    desk.pause()
    text = agree(desks, draft, desk)
    assert text.startswith("Once upon a time there was a lighthouse made of green glass.\nIts keeper")
    before, found, after = text.partition(" Suddenly the dragon sneezed.")
    assert found
    assert before != BEGINNING
    assert after.split()


def test_a_paragraph_is_deleted_during_a_run(desks: Desks) -> None:
    story, draft = desks.story(prompt=f"First.\nSecond goes.\n{BEGINNING}")
    desk = desks.open(story)
    desk.start()
    desk.wait_for_words()
    desk.caret_to("Second", after=False)
    desk.page.keyboard.press("Shift+End")
    desk.page.keyboard.press("Delete")
    desk.page.keyboard.press("Delete")
    desk.wait_for_words(3)
    desk.pause()
    assert agree(desks, draft, desk).startswith(f"First.\n{BEGINNING}")


def test_two_thousand_words_are_pasted_during_a_run(desks: Desks) -> None:
    story, draft = desks.story(prompt=BEGINNING)
    desk = desks.open(story)
    desk.start()
    desk.wait_for_words()
    pasted = "\r\n".join(f"{line}: " + "Grüße aus dem Turm, " * 24 for line in range(20))
    desk.caret_to("upon")
    desk.paste(pasted)
    desk.page.keyboard.press("Control+End")
    desk.wait_for_words(3)
    desk.pause()
    assert len(pasted.split()) > 1_900
    assert agree(desks, draft, desk).startswith("Once upon" + pasted.replace("\r\n", "\n") + " a time")


def test_emoji_are_edited_as_whole_characters(desks: Desks) -> None:
    story, draft = desks.story(prompt="🐉🐉 sleeps.")
    desk = desks.open(story)
    desk.start()
    desk.wait_for_words()
    desk.caret_to("🐉🐉", after=False)
    desk.page.keyboard.press("ArrowRight")
    desk.page.keyboard.insert_text("👩‍🚀é")
    desk.page.keyboard.press("ArrowRight")
    desk.page.keyboard.press("Backspace")
    desk.pause()
    assert agree(desks, draft, desk).startswith("🐉👩‍🚀é sleeps.")


@pytest.mark.parametrize("place", ["middle", "end"])
def test_text_composed_with_an_input_method_is_inserted_once(desks: Desks, place: str) -> None:
    story, draft = desks.story(prompt=BEGINNING)
    desk = desks.open(story)
    desk.start()
    desk.wait_for_words()
    if place == "end":
        desk.caret_to_end()
    else:
        desk.caret_to("a time")
    keys = desk.page.context.new_cdp_session(desk.page)
    for syllable in ["n", "に", "にh", "にほ", "にほん"]:
        at = len(syllable)
        keys.send("Input.imeSetComposition", {"text": syllable, "selectionStart": at, "selectionEnd": at})
        desk.page.wait_for_timeout(90)
    keys.send("Input.insertText", {"text": "日本"})
    expect(desk.text_field).to_contain_text("日本")
    desk.wait_for_words(3)
    desk.pause()
    text = agree(desks, draft, desk)
    assert text.count("日本") == 1
    assert not set(text) & set("にほん")
    if place == "middle":
        assert text.startswith("Once upon a time日本 there")


def written_by_people(desks: Desks, draft: str) -> str:
    with desks.app.page(draft) as page:
        ends = list(accumulate(length for length, _ in page.opened["authors"]))
        parts = zip([0, *ends], ends, page.opened["authors"], strict=False)
        return "".join(page.text[start:end] for start, end, (_, author) in parts if author == "user")


def test_two_pages_agree_on_a_slow_network(desks: Desks) -> None:
    story, draft = desks.story(prompt=BEGINNING)
    first, second = desks.open(story), desks.open(story)
    desks.network.strike(Fault(latency=0.3))
    first.start()
    first.wait_for_words()
    typed = [" The storm came at night.", " “Who is there?” asked she.", " The sea answered.", " The lamp went out."]
    first.caret_to("lighthouse")
    first.type(typed[0])
    second.caret_to_end()
    second.type(typed[1])
    second.caret_to("keeper")
    second.type(typed[2])
    first.caret_to_end()
    first.type(typed[3])
    first.wait_for_words(3)
    first.pause()
    second.wait_until_saved()
    text = agree(desks, draft, first, second)
    # Letters typed at one place by two people may interleave, but none is lost and none is doubled.
    assert sorted(written_by_people(desks, draft)) == sorted(BEGINNING + "".join(typed)), text


def test_offline_changes_survive_closing_the_page(desks: Desks) -> None:
    story, draft = desks.story(prompt=BEGINNING)
    desk = desks.open(story)
    desks.network.cut()
    expect(desk.saved).to_have_text("Offline")
    desk.caret_to("a time")
    desk.type(" long ago")
    expect(desk.saved).to_contain_text("9 changes kept on this device")
    desk.page.close()
    desks.network.heal()
    again = desks.open(story)
    expect(again.text_field).to_contain_text("a time long ago there")
    assert agree(desks, draft, again) == BEGINNING.replace("a time", "a time long ago")


def test_typing_continues_across_a_broken_connection(desks: Desks) -> None:
    story, draft = desks.story(prompt=BEGINNING)
    desk = desks.open(story)
    desk.start()
    desk.wait_for_words()
    desk.caret_to("a time")
    desk.type(" before")
    desks.network.cut()
    desk.type(" and after")
    desks.network.heal()
    expect(desk.saved).to_have_text("Saved")
    desk.pause()
    assert agree(desks, draft, desk).startswith("Once upon a time before and after there")


def test_undo_reverts_only_the_users_own_edits(desks: Desks) -> None:
    story, draft = desks.story(prompt=BEGINNING)
    desk = desks.open(story)
    desk.start()
    desk.wait_for_words(12)
    desk.pause()
    written = desks.server_text(draft)
    model = desk.page.locator(".by-model").first.inner_text()
    word = model.split()[2]
    desk.caret_to(f" {word} ", after=False)
    desk.page.keyboard.press("Control+Delete")
    desk.wait_until_saved()
    assert desks.server_text(draft) != written
    desk.page.keyboard.press("Control+z")
    desk.wait_until_saved()
    assert agree(desks, draft, desk) == written
    # The word is the model's again, on this page and on a page that opens the draft anew.
    other = desks.open(story)
    for page in (desk, other):
        assert page.page.locator(".by-model").first.inner_text() == model
