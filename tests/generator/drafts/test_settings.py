"""Settings: partial changes merge, and a change that breaks a rule changes nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from generator.drafts.settings import checked_premise, merged_sampling, merged_settings
from generator.models.menu import Menu
from stories.draft.state import DraftSettings
from stories.errors import Refused
from stories.limits import PREMISE_UNITS
from tests.generator.drafts.draft_room import menu_with_fakes

BEFORE = DraftSettings("Fake", {"temperature": 0.5}, "A dragon")


@pytest.fixture
def menu(tmp_path: Path) -> Menu:
    menu = menu_with_fakes(tmp_path)
    menu.current()
    return menu


def test_a_partial_change_leaves_the_rest(menu: Menu) -> None:
    after = merged_settings(menu, "prompt", BEFORE, {"sampling": {"top_k": 5}, "premise": "A 🐉"})
    assert after.model == "Fake"
    assert after.premise == "A \ud83d\udc09"
    assert (after.sampling["temperature"], after.sampling["top_k"], after.sampling["top_p"]) == (0.5, 5, 1.0)
    assert merged_settings(menu, "prompt", BEFORE, {}) == BEFORE


@pytest.mark.parametrize(
    ("mode", "changes", "code"),
    [
        ("prompt", {"model": "Another"}, "unknown_model"),
        ("prompt", {"sampling": {"temperature": 3}}, "invalid"),
        ("prompt", {"sampling": {"unheard_of": 1}}, "invalid"),
        ("prompt", {"premise": "x" * (PREMISE_UNITS + 1)}, "too_large"),
        ("continue", {"premise": "A dragon"}, "invalid"),
    ],
)
def test_a_change_that_breaks_a_rule_is_refused(menu: Menu, mode: str, changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as refusal:
        merged_settings(menu, mode, BEFORE, changes)
    assert refusal.value.code == code
    assert refusal.value.message.endswith(".")


def test_a_model_that_cannot_write_is_refused_with_its_reason(menu: Menu) -> None:
    menu.mark("fake:paced-30:", False, "It is broken.")
    with pytest.raises(Refused, match="Fake: It is broken") as refusal:
        merged_settings(menu, "continue", BEFORE, {"model": "Fake"})
    assert refusal.value.code == "model_unavailable"


def test_a_premise_is_counted_in_utf16_units() -> None:
    assert checked_premise("prompt", "😀" * (PREMISE_UNITS // 2)) == "\ud83d\ude00" * (PREMISE_UNITS // 2)
    with pytest.raises(Refused):
        checked_premise("prompt", "😀" * (PREMISE_UNITS // 2 + 1))


def test_sampling_is_complete_json_data() -> None:
    merged = merged_sampling({"banned_words": ["sea"]}, {"seed": None})
    assert (merged["banned_words"], merged["seed"], merged["min_p"]) == (["sea"], None, 0.05)
