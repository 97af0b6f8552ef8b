"""Fixtures: edge servers, one per async mode, shared by the tests of this folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.web.raw_page import RawPage, cookie_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = "<p>{{ nonce }} {{ build }}</p>"
MODES = ("eventlet", "threading")


@dataclass(frozen=True)
class EdgeServer:
    mode: str
    port: int
    process: subprocess.Popen[str]

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def page(self, **options: Any) -> RawPage:
        return RawPage(self.port, cookie_of(self.port), **options)


@contextmanager
def running_edge(mode: str, root: Path, events_per_second: float, *flags: str, **pipes: Any) -> Iterator[EdgeServer]:
    command = [sys.executable, "-m", "tests.web.edge_server", mode, str(events_per_second), str(root), *flags]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **pipes) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("StoryGen is at http://127.0.0.1:"), line
            yield EdgeServer(mode, int(line.rpartition(":")[2]), process)
        finally:
            process.terminate()
            assert process.wait(15) == 0 or sys.platform == "win32"


@pytest.fixture(scope="session")
def edge_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("root")
    for folder in ("static", "templates"):
        (root / folder).mkdir()
    (root / "templates" / "index.html").write_text(PAGE)
    (root / "static" / "build.json").write_text('{"hash": "abc"}')
    (root / "static" / "app.js").write_text("1;")
    (root / "static" / "config.js").write_text("2;")
    (root / "secret.txt").write_text("not for the web")
    return root


@pytest.fixture(scope="session", params=MODES)
def edge(request: pytest.FixtureRequest, edge_root: Path) -> Iterator[EdgeServer]:
    """A server without an effective limit on the rate of events."""
    with running_edge(request.param, edge_root, 1_000_000) as server:
        yield server
