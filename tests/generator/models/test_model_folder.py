"""Model folder: hostile names and links, and complete, damaged and dangerous folders."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.models.model_folder import Unusable, check, locate
from tests.generator.models.menu_root import MenuRoot
from tests.generator.models.model_folders import CONFIG, make_model, safetensors

HOSTILE = [
    "..", "../models", "a/../../b", "/etc", "//server/share", "C:/models", "C:models", "\\\\server\\share", "..\\up",
    "a//b", "a/", ".", "./a", "", " ", "a/ ", "a.", "con", "CON", "nul.txt", "a/AUX", "com1", "lpt9.bin", "COM¹",
    "a\0b", "a\nb", "a|b", "a*", "?", "~/models/..", "file:///etc", "https://example.org/m", "mine::$DATA",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_lead_out_of_the_root_or_to_devices_are_refused(root: MenuRoot, name: str) -> None:
    with pytest.raises(Unusable, match="must be the path of a folder beside"):
        locate(root.folder, name)
    root.offer(Bad=name)
    assert "must be the path of a folder beside" in root.reason("Bad")


@given(st.lists(st.sampled_from(["..", ".", "in", "a", "", "~", "link", "/"]), min_size=1, max_size=5).map("/".join))
def test_any_name_leads_to_a_folder_inside_the_root_or_is_refused(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    base = tmp_path_factory.getbasetemp() / "inside"
    (base / "root" / "in" / "a").mkdir(parents=True, exist_ok=True)
    (base / "a").mkdir(exist_ok=True)
    try:
        folder = locate(base / "root", name)
    except Unusable:
        return
    if folder is not None:
        assert (base / "root").resolve() in folder.resolve().parents


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")
def test_links_that_lead_out_are_refused(root: MenuRoot, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = make_model(tmp_path_factory.mktemp("outside"))
    (root.folder / "link").symlink_to(outside)
    make_model(root.folder / "weights", model__safetensors=None)
    (root.folder / "weights" / "model.safetensors").symlink_to(outside / "model.safetensors")
    make_model(root.folder / "inside")
    (root.folder / "alias").symlink_to(root.folder / "inside")
    (root.folder / "loop").symlink_to(root.folder / "loop")
    root.offer(Link="link", Weights="weights", Alias="alias", Loop="loop")
    assert "leads out" in root.reason("Link")
    assert "leads out" in root.reason("Weights")
    assert root.reason("Loop")
    assert not root.reason("Alias")


INDEX = json.dumps({"weight_map": {"a": "part-1.safetensors", "b": "part-2.safetensors"}}).encode()
FOLDERS: list[tuple[str, Any, dict[str, bytes | None], str]] = [
    ("whole", CONFIG, {}, ""),
    ("the .bin of 2021", CONFIG, {"model__safetensors": None, "pytorch_model.bin": b"PK"}, ""),
    ("vocab and merges", CONFIG, {"tokenizer__json": None, "vocab.json": b"{}", "merges.txt": b""}, ""),
    ("leftovers", CONFIG, {"optimizer.pt": b"x", "training_args.bin": b"x", "train.py": b"x"}, ""),
    ("harmless flag", {**CONFIG, "_attn_implementation_autoset": True}, {}, ""),
    ("parts", CONFIG, {"model__safetensors": None, "model.safetensors.index.json": INDEX,
     "part-1.safetensors": safetensors(), "part-2.safetensors": safetensors()}, ""),
    ("a part missing", CONFIG, {"model__safetensors": None, "model.safetensors.index.json": INDEX,
     "part-1.safetensors": safetensors()}, "part-2.safetensors cannot be read"),
    ("parts elsewhere", CONFIG, {"model__safetensors": None,
     "model.safetensors.index.json": b'{"weight_map": {"a": "../x"}}'}, "not an index"),
    ("no config", CONFIG, {"config__json": None}, "no config.json"),
    ("no weights", CONFIG, {"model__safetensors": None}, "no weights"),
    ("no tokenizer", CONFIG, {"tokenizer__json": None}, "no tokenizer"),
    ("vocab alone", CONFIG, {"tokenizer__json": None, "vocab.json": b"{}"}, "no tokenizer"),
    ("not JSON", CONFIG, {"config__json": b"{"}, "config.json cannot be read"),
    ("a list", [1], {}, "not a configuration"),
    ("deep", CONFIG, {"config__json": b"[" * 100_000}, "config.json cannot be read"),
    ("huge config", CONFIG, {"config__json": b" " * 5_000_000}, "too large"),
    ("bert", {"model_type": "bert"}, {}, "'bert' are not supported"),
    ("no type", {}, {}, "not supported"),
    ("auto_map", {**CONFIG, "auto_map": {"AutoModel": "m.M"}}, {}, "code of its own (auto_map)"),
    ("nested", {**CONFIG, "text_config": {"auto_map": {}}}, {}, "code of its own"),
    ("custom_generate", {**CONFIG, "custom_generate": "x"}, {}, "code of its own"),
    ("attention", {**CONFIG, "_attn_implementation_internal": "org/kernel"}, {}, "code of its own"),
    ("tokenizer's code", CONFIG, {"tokenizer_config.json": b'{"auto_map": {}}'}, "code of its own"),
    ("LFS pointer", CONFIG, {"model__safetensors": b"version https://git-lfs.github.com/spec/v1\n"}, "Git LFS"),
    ("empty weights", CONFIG, {"model__safetensors": b""}, "incomplete"),
    ("truncated", CONFIG, {"model__safetensors": safetensors()[:-1]}, "incomplete"),
    ("too long", CONFIG, {"model__safetensors": safetensors() + b"x"}, "incomplete"),
    ("huge header", CONFIG, {"model__safetensors": b"\xff" * 64}, "incomplete"),
    ("header not JSON", CONFIG, {"model__safetensors": b"\x02" + bytes(7) + b"{["}, "incomplete"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("config", "files", "words"), [case[1:] for case in FOLDERS], ids=[case[0] for case in FOLDERS]
)
def test_each_folder_is_usable_or_has_a_reason(
    root: MenuRoot, config: Any, files: dict[str, bytes | None], words: str
) -> None:
    make_model(root.folder / "mine", config, **files)
    root.offer(Mine="mine")
    reason = root.reason("Mine")
    assert words in reason
    assert bool(reason) == bool(words)


def test_weights_cut_off_at_any_byte_are_incomplete(tmp_path: Path) -> None:
    complete = safetensors()
    folder = make_model(tmp_path / "mine")
    check(folder, within=tmp_path)
    for length in range(len(complete)):
        (folder / "model.safetensors").write_bytes(complete[:length])
        with pytest.raises(Unusable, match="incomplete"):
            check(folder, within=tmp_path)
