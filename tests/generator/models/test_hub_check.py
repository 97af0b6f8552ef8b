"""Hub check: the answers about a model of the hub, from the local cache, from the hub, or while it is out of reach."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from generator.models import hub_check
from generator.models.hub_check import ASKING, UNREACHABLE, HubCheck
from tests.generator.models.fake_hub import FakeHub
from tests.generator.models.menu_root import OFFLINE, MenuRoot
from tests.generator.models.model_folders import CONFIG, make_model

WAIT = 30.0


def when_known(read: Callable[[], str]) -> str:
    """Return the reason, once the hub has answered."""
    deadline = time.monotonic() + WAIT
    while (reason := read()) == ASKING:
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
    return reason


def cached(cache: Path, revision: str = "abc") -> Path:
    """Make the local copy of org/name in `cache`, as huggingface_hub stores it, and return the snapshot."""
    repository = cache / "models--org--name"
    snapshot = make_model(repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    return snapshot


def test_each_model_is_asked_for_once_and_in_the_background(tmp_path: Path, hub: FakeHub) -> None:
    hub.answers = {
        "/gpt2": (200, json.dumps(CONFIG).encode()),
        "/org/bert": (200, b'{"model_type": "bert"}'),
        "/org/evil": (200, b'{"model_type": "gpt2", "auto_map": {}}'),
        "/org/ill": (503, b""),
        "/org/odd": (200, b"<html>"),
    }
    root = MenuRoot(tmp_path, HubCheck(hub.environ))
    root.offer(**{name.strip("/"): name.strip("/") for name in [*hub.answers, "missing"]})
    assert root.reason("gpt2") == ASKING
    assert when_known(lambda: root.reason("gpt2")) == ""
    assert "'bert' are not supported" in when_known(lambda: root.reason("org/bert"))
    assert "code of its own" in when_known(lambda: root.reason("org/evil"))
    assert "503" in when_known(lambda: root.reason("org/ill"))
    assert when_known(lambda: root.reason("org/odd")) == UNREACHABLE
    assert "no such model" in when_known(lambda: root.reason("missing"))
    assert len(hub.asked) == len(set(hub.asked)) == 6


def test_an_old_answer_is_shown_while_the_hub_is_asked_again(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    check = HubCheck(hub.environ)
    assert "no such model" in when_known(lambda: check.reason("gpt2"))
    hub.answers["/gpt2"] = (200, json.dumps(CONFIG).encode())
    assert "no such model" in check.reason("gpt2")
    assert len(hub.asked) == 1
    monkeypatch.setattr(hub_check, "_ANSWER_VALID_SECONDS", -1.0)
    assert "no such model" in check.reason("gpt2")
    deadline = time.monotonic() + WAIT
    while check.reason("gpt2"):
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def test_without_a_network_the_reason_says_what_to_do(root: MenuRoot) -> None:
    root.offer(GPT="gpt2", Deep="a/b/c")
    assert when_known(lambda: root.reason("GPT")) == UNREACHABLE
    assert root.reason("Deep") == "No folder beside server.py has this name."


def test_a_process_that_gives_no_answer_counts_as_an_unreachable_hub(
    hub: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.answers["/gpt2"] = (200, json.dumps(CONFIG).encode())
    monkeypatch.setattr(hub_check, "_PROBE_TIMEOUT_SECONDS", -1.0)
    check = HubCheck(hub.environ)
    assert when_known(lambda: check.reason("gpt2")) == UNREACHABLE


def test_a_model_in_the_local_cache_needs_no_network(tmp_path: Path) -> None:
    snapshot = cached(tmp_path)
    check = HubCheck({**OFFLINE, "HF_HUB_CACHE": str(tmp_path)})
    assert check.reason("org/name") == ""
    (snapshot / "model.safetensors").unlink()
    assert when_known(lambda: check.reason("org/name")) == UNREACHABLE


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"HF_HUB_CACHE": "{home}/a", "HF_HOME": "{home}/b"}, "a"),
        ({"HF_HOME": "{home}/b", "XDG_CACHE_HOME": "{home}/c"}, "b/hub"),
        ({"XDG_CACHE_HOME": "{home}/c"}, "c/huggingface/hub"),
    ],
)
def test_the_local_cache_is_where_huggingface_hub_keeps_it(
    tmp_path: Path, variables: Mapping[str, str], folder: str
) -> None:
    cached(tmp_path / folder)
    environ = {name: value.format(home=tmp_path) for name, value in variables.items()}
    assert HubCheck({**environ, "HF_HUB_OFFLINE": "1"}).reason("org/name") == ""
