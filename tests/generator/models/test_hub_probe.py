"""Hub probe: the reason for each answer that the model hub can give."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from generator.models import hub_probe
from generator.models.hub_check import UNREACHABLE
from tests.generator.models.fake_hub import FakeHub, serving
from tests.generator.models.model_folders import CONFIG

ROOT = Path(__file__).parents[3]
USABLE = json.dumps(CONFIG).encode()


@pytest.fixture
def asked(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    """A fake hub that the environment of this process names."""
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_ENDPOINT", f"{hub.endpoint}/")
    return hub


@pytest.fixture
def elsewhere() -> Iterator[FakeHub]:
    """A second server, to which the hub redirects."""
    with serving() as server:
        yield server


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, b"", "no such model"),
        (403, b"", "no such model"),
        (404, b"", "no such model"),
        (500, b"", "an error (500)"),
        (429, b"", "an error (429)"),
        (200, b"<html>", UNREACHABLE),
        (200, b"[1]", UNREACHABLE),
        (200, b'{"model_type": "bert"}', "'bert' are not supported"),
        (200, b'{"model_type": "gpt2", "text_config": {"auto_map": {}}}', "code of its own (auto_map)"),
    ],
)
def test_each_unusable_answer_has_a_reason(asked: FakeHub, status: int, body: bytes, words: str) -> None:
    asked.answers["/org/name"] = (status, body)
    assert words in hub_probe.reason("org/name")


def test_a_usable_configuration_has_no_reason_and_needs_no_token(asked: FakeHub) -> None:
    asked.answers["/org/name"] = (200, USABLE)
    assert hub_probe.reason("org/name") == ""
    assert asked.asked == ["/org/name/resolve/main/config.json"]
    assert asked.tokens == [None]


def test_the_token_is_sent_to_the_hub_but_not_to_another_server(
    asked: FakeHub, elsewhere: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    asked.answers["/org/name"] = (302, f"{elsewhere.endpoint}/file".encode())
    elsewhere.answers["/file"] = (200, USABLE)
    assert hub_probe.reason("org/name") == ""
    assert asked.tokens == ["Bearer secret"]
    assert (elsewhere.asked, elsewhere.tokens) == (["/file"], [None])


@pytest.mark.parametrize("value", ["1", "on", "YES", "true"])
def test_the_offline_variable_prevents_requests(asked: FakeHub, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    assert hub_probe.reason("org/name") == UNREACHABLE
    assert asked.asked == []


def test_a_refused_connection_is_an_unreachable_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with serving() as closed:
        monkeypatch.setenv("HF_ENDPOINT", closed.endpoint)
    assert hub_probe.reason("org/name") == UNREACHABLE


def test_the_process_prints_a_reason_for_each_id(hub: FakeHub) -> None:
    hub.answers["/gpt2"] = (200, USABLE)
    command = [sys.executable, "-m", "generator.models.hub_probe", "gpt2", "org/missing"]
    run = subprocess.run(command, cwd=ROOT, env=hub.environ, capture_output=True, text=True, timeout=60, check=True)
    reasons = json.loads(run.stdout)
    assert list(reasons) == ["gpt2", "org/missing"]
    assert reasons["gpt2"] == ""
    assert "no such model" in reasons["org/missing"]
