"""What the menu says of models of the hub: asked on loopback, found in the local cache, or out of reach."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from generator.models.hub_check import ASKING, UNREACHABLE, HubCheck
from generator.models.menu import Menu
from tests.generator.models.menu_root import OFFLINE, MenuDesk
from tests.generator.models.model_folders import CONFIG, make_model

WAIT = 30.0


class FakeHub(ThreadingHTTPServer):
    """Answers for the configurations of a few models, and counts the questions."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []

    @property
    def environ(self) -> dict[str, str]:
        endpoint = f"http://127.0.0.1:{self.server_address[1]}"
        return {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": endpoint, "HF_HUB_CACHE": "/nowhere"}


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
    desk = MenuDesk(tmp_path, HubCheck(hub.environ))
    desk.offer(**{name.strip("/"): name.strip("/") for name in [*hub.answers, "missing"]})
    assert desk.reason("gpt2") == ASKING
    assert when_known(lambda: desk.reason("gpt2")) == ""
    assert "'bert' are not supported" in when_known(lambda: desk.reason("org/bert"))
    assert "code of its own" in when_known(lambda: desk.reason("org/evil"))
    assert "503" in when_known(lambda: desk.reason("org/ill"))
    assert when_known(lambda: desk.reason("org/odd")) == UNREACHABLE
    assert "no such model" in when_known(lambda: desk.reason("missing"))
    assert len(hub.asked) == len(set(hub.asked)) == 6


def test_without_a_network_the_reason_says_what_to_do(desk: MenuDesk) -> None:
    desk.offer(GPT="gpt2", Deep="a/b/c")
    assert when_known(lambda: desk.reason("GPT")) == UNREACHABLE
    assert desk.reason("Deep") == "There is no such folder beside server.py."


def test_a_model_in_the_local_cache_needs_no_network(desk: MenuDesk, tmp_path: Path) -> None:
    repository = tmp_path / "cache" / "models--org--name"
    make_model(repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    desk.menu = Menu(desk.root, desk.config, HubCheck({**OFFLINE, "HF_HUB_CACHE": str(tmp_path / "cache")}))
    desk.offer(Cached="org/name")
    assert not desk.reason("Cached")
    (repository / "snapshots" / "abc" / "model.safetensors").unlink()
    assert when_known(lambda: desk.reason("Cached")) == UNREACHABLE
