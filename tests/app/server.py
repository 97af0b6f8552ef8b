"""The real server as a process, for the tests of this folder: how it is started, and what they ask of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.app.live_page import LivePage, ask, cookie_of, create_story

ROOT = Path(__file__).resolve().parents[2]
FAKES = "instant,paced-30,raises-1,raises-40,crash-60,slow-load"


@dataclass
class AppServer:
    port: int
    data: Path
    process: psutil.Process
    cookie: str = field(init=False)

    def __post_init__(self) -> None:
        self.cookie = cookie_of(self.port)

    def draft(self, **request: Any) -> str:
        """The id of a new story's first draft."""
        draft: str = create_story(self.port, self.cookie, **request)["drafts"][0]["id"]
        return draft

    def page(self, draft: str, latency: float = 0.0) -> LivePage:
        return LivePage(self.port, self.cookie, draft, latency)

    def text(self, draft: str) -> str:
        """The text as the server has it."""
        with self.page(draft) as page:
            return page.text

    def get(self, path: str) -> Any:
        return ask(self.port, "GET", path, Cookie=self.cookie).json

    def engine(self) -> psutil.Process:
        """The engine's process. Raises StopIteration while there is none."""
        children = self.process.children(recursive=True)
        return next(child for child in children if "generator.engine" in child.cmdline())


def _environment(modules: Path, real: bool) -> dict[str, str]:
    if not real:
        (modules / "torch.py").write_text('raise ImportError("fake models need none")\n')
    own = {"PYTHONPATH": str(modules), "HF_ENDPOINT": "http://127.0.0.1:9", "OMP_NUM_THREADS": "1"}
    return {**os.environ, **own}


@contextmanager
def running_server(
    data: Path,
    mode: str,
    fakes: str = FAKES,
    log: Path | None = None,
    options: Sequence[str] = ("--threads", "1"),
    port: int = 0,
    real: bool = False,
) -> Iterator[AppServer]:
    """A server over `data` until the block ends; it is told to stop and must do so in order. Port 0: any free one.

    Unless `real` models are to write too, its engine is spared the seconds that importing torch takes, at every start.
    """
    command = [sys.executable, str(ROOT / "server.py"), "--port", str(port), "--data", str(data)]
    command += ["--async-mode", mode, "--fake-models", fakes, "--no-browser", *options]
    with (
        tempfile.TemporaryDirectory() as modules,
        open(log or os.devnull, "a") as errors,
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment(Path(modules), real)
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "http://127.0.0.1:" in line, line
            server = AppServer(int(line.rpartition(":")[2]), data, psutil.Process(process.pid))
            yield server
        finally:
            process.terminate()
            process.wait(15)
