"""The model menu over real folders, a real file that changes, and a model hub on loopback."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator import bundled, menu
from generator.menu import DEFAULT_PROMPT_TEMPLATE, Menu
from generator.messages import ModelSpec
from generator.model_folder import Unusable, locate
from generator.model_hub import ASKING, UNREACHABLE, Hub
from tests.generator.model_folders import CONFIG, make_model, safetensors

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": "/nowhere"}
WAIT = 30.0


class Desk:
    """A root folder with a menu file in it."""

    def __init__(self, root: Path, hub: Hub | None = None, fakes: tuple[str, ...] = ()) -> None:
        self.root, self.config = root, root / "config.js"
        self.menu = Menu(root, self.config, hub or Hub(OFFLINE), fakes)

    def write(self, source: str) -> None:
        """As an editor saves it; the time of change is set, because two saves may come within one tick of a clock."""
        before = self.config.stat().st_mtime_ns if self.config.exists() else 0
        self.config.write_text(source, encoding="utf-8")
        os.utime(self.config, ns=(before + 10**9, before + 10**9))

    def offer(self, **models: Any) -> None:
        self.write(f"var ModelConfig = {json.dumps({'continuationModels': models, 'promptModels': models})};")

    def reason(self, name: str) -> str:
        entry = self.menu.find("continue", name)
        assert entry is not None
        assert entry.available == (not entry.reason)
        return entry.reason


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture(autouse=True)
def look_at_folders_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(menu, "_FOLDER_SECONDS", -1.0)


def names(desk: Desk, mode: str = "continue") -> list[str]:
    return [entry.name for entry in desk.menu.current().entries[mode]]


def test_a_folder_is_offered_in_both_modes(desk: Desk) -> None:
    make_model(desk.root / "models" / "mine")
    desk.offer(Mine="models/mine")
    spec = ModelSpec("folder", str(desk.root / "models" / "mine"))
    entry, prompted = desk.menu.find("continue", "Mine"), desk.menu.find("prompt", "Mine")
    assert entry is not None
    assert prompted is not None
    assert entry.available
    assert (entry.spec, entry.template) == (spec, None)
    assert (prompted.spec, prompted.template) == (spec, DEFAULT_PROMPT_TEMPLATE)


def test_an_entry_brings_its_template_and_window(desk: Desk) -> None:
    make_model(desk.root / "mine")
    desk.offer(Mine={"model": "mine", "promptTemplate": "<s>{prompt}\n", "window": 256})
    entry = desk.menu.find("prompt", "Mine")
    assert entry is not None
    assert (entry.template, entry.spec.window) == ("<s>{prompt}\n", 256)
    assert desk.menu.as_json()["prompt"][0] == {
        "name": "Mine", "model": "mine", "available": True, "template": "<s>{prompt}\n", "window": 256
    }  # fmt: skip


def test_the_bundled_model_is_always_there_with_its_chat_template(desk: Desk) -> None:
    make_model(desk.root / bundled.FOLDER, tokenizer_config__json=b"{}")
    for mode, template in (("continue", None), ("prompt", bundled.PROMPT_TEMPLATE)):
        entry = desk.menu.find(mode, bundled.NAME)
        assert entry is not None
        assert entry.available
        assert (entry.spec.source, entry.template) == ("bundled", template)


def test_the_bundled_model_says_when_it_is_not_installed(desk: Desk) -> None:
    desk.offer()
    assert "run_local" in desk.reason(bundled.NAME)


def test_fakes_are_offered_only_when_asked_for(tmp_path: Path) -> None:
    assert names(Desk(tmp_path)) == [bundled.NAME]
    desk = Desk(tmp_path, fakes=("paced-30", "instant", "crash-20"))
    assert names(desk, "prompt")[1:] == ["Fake", "Fake instant", "Fake crash-20"]
    fake = desk.menu.find("continue", "Fake")
    assert fake is not None
    assert fake.spec == ModelSpec("fake", "paced-30")
    assert fake.available


def test_only_what_is_named_is_found(desk: Desk) -> None:
    make_model(desk.root / "mine")
    desk.offer(Mine="mine")
    for name in ("mine", "Fake", "gpt2", "../mine", ""):
        assert desk.menu.find("continue", name) is None
    assert desk.menu.find("no such mode", "Mine") is None


def test_a_changed_file_counts_at_once_and_a_broken_one_leaves_the_last_good_menu(desk: Desk) -> None:
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


def test_a_folder_that_is_put_there_appears_without_touching_the_file(desk: Desk) -> None:
    desk.offer(Mine="mine")
    assert desk.reason("Mine")
    make_model(desk.root / "mine")
    assert not desk.reason("Mine")


def test_a_failed_load_is_the_reason_until_it_may_be_tried_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
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


HOSTILE = [
    "..", "../models", "a/../../b", "/etc", "//server/share", "C:/models", "C:models", "\\\\server\\share", "..\\up",
    "a//b", "a/", ".", "./a", "", " ", "a/ ", "a.", "con", "CON", "nul.txt", "a/AUX", "com1", "lpt9.bin", "COM¹",
    "a\0b", "a\nb", "a|b", "a*", "?", "~/models/..", "file:///etc", "https://example.org/m", "mine::$DATA",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_lead_out_of_the_root_or_to_devices_are_refused(desk: Desk, name: str) -> None:
    with pytest.raises(Unusable, match="named by its path"):
        locate(desk.root, name)
    desk.offer(Bad=name)
    assert "named by its path" in desk.reason("Bad")


@given(st.lists(st.sampled_from(["..", ".", "in", "a", "", "~", "link", "/"]), min_size=1, max_size=5).map("/".join))
def test_whatever_the_name_it_stays_inside(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    base = tmp_path_factory.getbasetemp() / "inside"
    (base / "root" / "in" / "a").mkdir(parents=True, exist_ok=True)
    (base / "a").mkdir(exist_ok=True)
    try:
        folder = locate(base / "root", name)
    except Unusable:
        return
    if folder is not None:
        assert (base / "root").resolve() in folder.resolve().parents


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_links_that_lead_out_are_refused(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = make_model(tmp_path_factory.mktemp("outside"))
    (desk.root / "link").symlink_to(outside)
    make_model(desk.root / "weights", model__safetensors=None)
    (desk.root / "weights" / "model.safetensors").symlink_to(outside / "model.safetensors")
    make_model(desk.root / "inside")
    (desk.root / "alias").symlink_to(desk.root / "inside")
    (desk.root / "loop").symlink_to(desk.root / "loop")
    desk.offer(Link="link", Weights="weights", Alias="alias", Loop="loop")
    assert "leads out" in desk.reason("Link")
    assert "leads out" in desk.reason("Weights")
    assert desk.reason("Loop")
    assert not desk.reason("Alias")


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
    ("huge head", CONFIG, {"model__safetensors": b"\xff" * 64}, "incomplete"),
    ("head no JSON", CONFIG, {"model__safetensors": b"\x02" + bytes(7) + b"{["}, "incomplete"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "files", "words"), [row[1:] for row in FOLDERS], ids=[row[0] for row in FOLDERS])
def test_what_a_folder_may_hold(desk: Desk, config: Any, files: dict[str, bytes | None], words: str) -> None:
    make_model(desk.root / "mine", config, **files)
    desk.offer(Mine="mine")
    reason = desk.reason("Mine")
    assert words in reason
    assert bool(reason) == bool(words)


class FakeHub(ThreadingHTTPServer):
    """Answers for the configurations of a few models, and counts the questions."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []

    @property
    def environ(self) -> dict[str, str]:
        return {**os.environ, "HF_ENDPOINT": f"http://127.0.0.1:{self.server_address[1]}", "HF_HUB_CACHE": "/nowhere"}


class _Answer(BaseHTTPRequestHandler):
    server: FakeHub

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, body = self.server.answers.get(self.path.removesuffix("/resolve/main/config.json"), (404, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests are quiet."""


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    with FakeHub() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def when_known(read: Callable[[], str]) -> str:
    deadline = time.monotonic() + WAIT
    while (reason := read()) == ASKING:
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
    return reason


def test_the_hub_is_asked_once_and_in_the_background(tmp_path: Path, hub: FakeHub) -> None:
    hub.answers = {
        "/gpt2": (200, json.dumps(CONFIG).encode()),
        "/org/bert": (200, b'{"model_type": "bert"}'),
        "/org/evil": (200, b'{"model_type": "gpt2", "auto_map": {}}'),
        "/org/ill": (503, b""),
        "/org/odd": (200, b"<html>"),
    }
    desk = Desk(tmp_path, Hub(hub.environ))
    desk.offer(**{name.strip("/"): name.strip("/") for name in [*hub.answers, "missing"]})
    assert desk.reason("gpt2") == ASKING
    assert when_known(lambda: desk.reason("gpt2")) == ""
    assert "'bert' are not supported" in when_known(lambda: desk.reason("org/bert"))
    assert "code of its own" in when_known(lambda: desk.reason("org/evil"))
    assert "503" in when_known(lambda: desk.reason("org/ill"))
    assert when_known(lambda: desk.reason("org/odd")) == UNREACHABLE
    assert "no such model" in when_known(lambda: desk.reason("missing"))
    assert len(hub.asked) == len(set(hub.asked)) == 6


def test_without_a_network_the_reason_says_what_to_do(desk: Desk) -> None:
    desk.offer(GPT="gpt2", Deep="a/b/c")
    assert when_known(lambda: desk.reason("GPT")) == UNREACHABLE
    assert desk.reason("Deep") == "There is no such folder beside server.py."


def test_a_model_in_the_local_cache_needs_no_network(tmp_path: Path) -> None:
    repository = tmp_path / "cache" / "models--org--name"
    make_model(repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    desk = Desk(tmp_path, Hub({**OFFLINE, "HF_HUB_CACHE": str(tmp_path / "cache")}))
    desk.offer(Cached="org/name")
    assert not desk.reason("Cached")
    (repository / "snapshots" / "abc" / "model.safetensors").unlink()
    assert when_known(lambda: desk.reason("Cached")) == UNREACHABLE
