"""Menu: entries, reasons and results of loading, over real folders and a real menu file that changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.models import bundled, menu
from generator.models.menu import DEFAULT_PROMPT_TEMPLATE
from generator.wire.messages import ModelSpec
from stories.errors import ModelUnavailable, Refused, UnknownModel
from tests.generator.models.menu_root import MenuRoot
from tests.generator.models.model_folders import make_model


def names(root: MenuRoot, mode: str = "continue") -> list[str]:
    return [entry.name for entry in root.menu.current().entries[mode]]


def test_a_folder_is_offered_in_both_modes(root: MenuRoot) -> None:
    make_model(root.folder / "models" / "mine")
    root.offer(Mine="models/mine")
    spec = ModelSpec("folder", str(root.folder / "models" / "mine"))
    entry, prompted = root.menu.find("continue", "Mine"), root.menu.find("prompt", "Mine")
    assert entry is not None
    assert prompted is not None
    assert entry.available
    assert (entry.spec, entry.template) == (spec, None)
    assert (prompted.spec, prompted.template) == (spec, DEFAULT_PROMPT_TEMPLATE)


def test_an_entry_has_its_own_template_and_window(root: MenuRoot) -> None:
    make_model(root.folder / "mine")
    root.offer(Mine={"model": "mine", "promptTemplate": "<s>{prompt}\n", "window": 256})
    entry = root.menu.find("prompt", "Mine")
    assert entry is not None
    assert (entry.template, entry.spec.window) == ("<s>{prompt}\n", 256)
    assert root.menu.as_json()["prompt"][0] == {
        "name": "Mine", "model": "mine", "available": True, "template": "<s>{prompt}\n", "window": 256
    }  # fmt: skip


def test_the_bundled_model_is_always_in_the_menu_with_its_chat_template(root: MenuRoot) -> None:
    make_model(root.folder / bundled.FOLDER, tokenizer_config__json=b"{}")
    for mode, template in (("continue", None), ("prompt", bundled.PROMPT_TEMPLATE)):
        entry = root.menu.find(mode, bundled.NAME)
        assert entry is not None
        assert entry.available
        assert (entry.spec.source, entry.template) == ("bundled", template)


def test_a_missing_bundled_model_says_how_to_install_it(root: MenuRoot) -> None:
    root.offer()
    assert "run_local" in root.reason(bundled.NAME)


def test_test_models_are_offered_only_when_they_are_requested(tmp_path: Path) -> None:
    assert names(MenuRoot(tmp_path)) == [bundled.NAME]
    root = MenuRoot(tmp_path, fakes=("paced-30", "instant", "crash-20"))
    assert names(root, "prompt")[1:] == ["Fake", "Fake instant", "Fake crash-20"]
    fake = root.menu.find("continue", "Fake")
    assert fake is not None
    assert fake.spec == ModelSpec("fake", "paced-30")
    assert fake.available


def test_only_names_of_the_menu_are_found(root: MenuRoot) -> None:
    make_model(root.folder / "mine")
    root.offer(Mine="mine")
    for name in ("mine", "Fake", "gpt2", "../mine", ""):
        assert root.menu.find("continue", name) is None
    assert root.menu.find("no such mode", "Mine") is None


def test_a_changed_file_counts_at_once_and_a_broken_file_keeps_the_last_good_menu(root: MenuRoot) -> None:
    root.offer(First="first")
    assert names(root)[0] == "First"
    root.write("var ModelConfig = {\n  continuationModels: {Second: }\n};")
    assert names(root)[0] == "First"
    assert "config.js has a mistake. Line 2, column 32" in root.menu.as_json()["error"]
    root.offer(Third="third")
    assert names(root)[0] == "Third"
    assert "error" not in root.menu.as_json()
    root.config.unlink()
    assert names(root)[0] == "Third"
    assert "cannot be read" in root.menu.as_json()["error"]


def test_a_new_folder_is_found_without_a_change_of_the_file(root: MenuRoot) -> None:
    root.offer(Mine="mine")
    assert root.reason("Mine")
    make_model(root.folder / "mine")
    assert not root.reason("Mine")


def test_a_loaded_model_shows_its_precision(root: MenuRoot) -> None:
    make_model(root.folder / "mine")
    root.offer(Mine="mine")
    entry = root.menu.find("continue", "Mine")
    assert entry is not None
    assert "precision" not in entry.as_json()
    root.menu.mark(entry.spec.key, True, precision="int8 (KL 0.0012, same best token 98.2 %)")
    root.menu.mark(entry.spec.key, True)  # unloaded
    shown = root.menu.find("continue", "Mine")
    assert shown is not None
    assert shown.as_json()["precision"] == "int8 (KL 0.0012, same best token 98.2 %)"


def test_a_failed_load_makes_a_model_unavailable_until_it_may_be_tried_again(
    root: MenuRoot, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_model(root.folder / "mine")
    root.offer(Mine="mine")
    entry = root.menu.find("continue", "Mine")
    assert entry is not None
    root.menu.mark(entry.spec.key, False, "There is not enough memory.")
    assert root.reason("Mine") == "There is not enough memory."
    root.menu.mark(entry.spec.key, True)
    assert not root.reason("Mine")
    monkeypatch.setattr(menu, "_FAILURE_SECONDS", 0.0)
    root.menu.mark(entry.spec.key, False, "There is not enough memory.")
    assert not root.reason("Mine")


def test_a_failure_without_a_reason_gets_a_plain_one(root: MenuRoot) -> None:
    make_model(root.folder / "mine")
    root.offer(Mine="mine")
    root.menu.mark(root.menu.usable("continue", "Mine").spec.key, False)
    assert root.reason("Mine") == "The model could not be loaded."


def test_a_usable_entry_is_the_entry_that_is_found(root: MenuRoot) -> None:
    make_model(root.folder / "mine")
    root.offer(Mine="mine")
    for mode in ("continue", "prompt"):
        assert root.menu.usable(mode, "Mine") == root.menu.find(mode, "Mine")


@pytest.mark.parametrize(("mode", "name"), [("continue", "mine"), ("continue", ""), ("no such mode", "Mine")])
def test_a_name_outside_the_menu_is_refused(root: MenuRoot, mode: str, name: str) -> None:
    make_model(root.folder / "mine")
    root.offer(Mine="mine")
    with pytest.raises(UnknownModel) as caught:
        root.menu.usable(mode, name)
    assert caught.value.code == "unknown_model"
    assert repr(name) in caught.value.message


def test_an_unavailable_entry_is_refused_with_its_reason(root: MenuRoot) -> None:
    root.offer(Mine="a/b/mine")
    with pytest.raises(ModelUnavailable) as caught:
        root.menu.usable("continue", "Mine")
    assert caught.value.message == "Mine: No folder beside server.py has this name."
    make_model(root.folder / "a" / "b" / "mine")
    assert root.menu.usable("continue", "Mine").available


def test_the_first_available_entry_is_the_first_one_that_can_write(root: MenuRoot) -> None:
    make_model(root.folder / "second")
    make_model(root.folder / "third")
    root.offer(First="a/b/missing", Second="second", Third="third")
    assert root.menu.first_available("continue") == root.menu.first_available("prompt") == "Second"
    root.menu.mark(root.menu.usable("continue", "Second").spec.key, False, "There is not enough memory.")
    assert root.menu.first_available("continue") == "Third"


def test_the_bundled_model_is_the_first_available_one_only_after_the_entries_of_the_file(root: MenuRoot) -> None:
    make_model(root.folder / bundled.FOLDER, tokenizer_config__json=b"{}")
    root.offer(First="a/b/first")
    assert root.menu.first_available("continue") == bundled.NAME
    make_model(root.folder / "a" / "b" / "first")
    assert root.menu.first_available("continue") == "First"


def test_without_an_available_entry_the_refusal_points_to_the_menu(root: MenuRoot) -> None:
    root.offer(First="a/b/missing")
    with pytest.raises(Refused) as caught:
        root.menu.first_available("continue")
    assert (caught.value.code, caught.value.message) == (
        "model_unavailable",
        "No model is available. The menu says why.",
    )


def test_of_two_entries_with_one_name_the_first_counts(root: MenuRoot) -> None:
    make_model(root.folder / "mine")
    root.offer(**{bundled.NAME: "mine"})
    assert names(root) == [bundled.NAME]
    assert root.menu.usable("continue", bundled.NAME).spec.source == "folder"
