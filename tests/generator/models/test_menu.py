"""The model menu over real folders and a real file that changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.models import bundled, menu
from generator.models.menu import DEFAULT_PROMPT_TEMPLATE
from generator.wire.messages import ModelSpec
from tests.generator.models.menu_root import MenuDesk
from tests.generator.models.model_folders import make_model


def names(desk: MenuDesk, mode: str = "continue") -> list[str]:
    return [entry.name for entry in desk.menu.current().entries[mode]]


def test_a_folder_is_offered_in_both_modes(desk: MenuDesk) -> None:
    make_model(desk.root / "models" / "mine")
    desk.offer(Mine="models/mine")
    spec = ModelSpec("folder", str(desk.root / "models" / "mine"))
    entry, prompted = desk.menu.find("continue", "Mine"), desk.menu.find("prompt", "Mine")
    assert entry is not None
    assert prompted is not None
    assert entry.available
    assert (entry.spec, entry.template) == (spec, None)
    assert (prompted.spec, prompted.template) == (spec, DEFAULT_PROMPT_TEMPLATE)


def test_an_entry_brings_its_template_and_window(desk: MenuDesk) -> None:
    make_model(desk.root / "mine")
    desk.offer(Mine={"model": "mine", "promptTemplate": "<s>{prompt}\n", "window": 256})
    entry = desk.menu.find("prompt", "Mine")
    assert entry is not None
    assert (entry.template, entry.spec.window) == ("<s>{prompt}\n", 256)
    assert desk.menu.as_json()["prompt"][0] == {
        "name": "Mine", "model": "mine", "available": True, "template": "<s>{prompt}\n", "window": 256
    }  # fmt: skip


def test_the_bundled_model_is_always_there_with_its_chat_template(desk: MenuDesk) -> None:
    make_model(desk.root / bundled.FOLDER, tokenizer_config__json=b"{}")
    for mode, template in (("continue", None), ("prompt", bundled.PROMPT_TEMPLATE)):
        entry = desk.menu.find(mode, bundled.NAME)
        assert entry is not None
        assert entry.available
        assert (entry.spec.source, entry.template) == ("bundled", template)


def test_the_bundled_model_says_when_it_is_not_installed(desk: MenuDesk) -> None:
    desk.offer()
    assert "run_local" in desk.reason(bundled.NAME)


def test_fakes_are_offered_only_when_asked_for(tmp_path: Path) -> None:
    assert names(MenuDesk(tmp_path)) == [bundled.NAME]
    desk = MenuDesk(tmp_path, fakes=("paced-30", "instant", "crash-20"))
    assert names(desk, "prompt")[1:] == ["Fake", "Fake instant", "Fake crash-20"]
    fake = desk.menu.find("continue", "Fake")
    assert fake is not None
    assert fake.spec == ModelSpec("fake", "paced-30")
    assert fake.available


def test_only_what_is_named_is_found(desk: MenuDesk) -> None:
    make_model(desk.root / "mine")
    desk.offer(Mine="mine")
    for name in ("mine", "Fake", "gpt2", "../mine", ""):
        assert desk.menu.find("continue", name) is None
    assert desk.menu.find("no such mode", "Mine") is None


def test_a_changed_file_counts_at_once_and_a_broken_one_leaves_the_last_good_menu(desk: MenuDesk) -> None:
    desk.offer(First="first")
    assert names(desk)[0] == "First"
    desk.write("var ModelConfig = {\n  continuationModels: {Second: }\n};")
    assert names(desk)[0] == "First"
    assert "line 2, column 32" in desk.menu.as_json()["error"]
    desk.offer(Third="third")
    assert names(desk)[0] == "Third"
    assert "error" not in desk.menu.as_json()
    desk.config.unlink()
    assert names(desk)[0] == "Third"
    assert "cannot be read" in desk.menu.as_json()["error"]


def test_a_folder_that_is_put_there_appears_without_touching_the_file(desk: MenuDesk) -> None:
    desk.offer(Mine="mine")
    assert desk.reason("Mine")
    make_model(desk.root / "mine")
    assert not desk.reason("Mine")


def test_a_model_that_was_loaded_shows_its_precision(desk: MenuDesk) -> None:
    make_model(desk.root / "mine")
    desk.offer(Mine="mine")
    entry = desk.menu.find("continue", "Mine")
    assert entry is not None
    assert "precision" not in entry.as_json()
    desk.menu.mark(entry.spec.key, True, precision="int8 (KL 0.0012, same best token 98.2 %)")
    desk.menu.mark(entry.spec.key, True)  # unloaded
    shown = desk.menu.find("continue", "Mine")
    assert shown is not None
    assert shown.as_json()["precision"] == "int8 (KL 0.0012, same best token 98.2 %)"


def test_a_failed_load_is_the_reason_until_it_may_be_tried_again(
    desk: MenuDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(desk.root / "mine")
    desk.offer(Mine="mine")
    entry = desk.menu.find("continue", "Mine")
    assert entry is not None
    desk.menu.mark(entry.spec.key, False, "There is not enough memory.")
    assert desk.reason("Mine") == "There is not enough memory."
    desk.menu.mark(entry.spec.key, True)
    assert not desk.reason("Mine")
    monkeypatch.setattr(menu, "_FAILURE_SECONDS", 0.0)
    desk.menu.mark(entry.spec.key, False, "There is not enough memory.")
    assert not desk.reason("Mine")
