"""AppServer: the real server as a process, how tests start it and the requests they make most often."""

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

from tests.app.live_page import LivePage, create_story
from tests.web.raw_page import ask, cookie_of

ROOT = Path(__file__).resolve().parents[2]
FAKES = "instant,paced-30,raises-1,raises-40,crash-60,slow-load"


@dataclass
class AppServer:
    """A running server. `cookie` belongs to the one person whom its methods act for."""

    port: int
    data: Path
    process: psutil.Process
    cookie: str = field(init=False)

    def __post_init__(self) -> None:
        self.cookie = cookie_of(self.port)

    def draft(self, **request: Any) -> str:
        """Create a story and return the id of its first draft."""
        draft: str = create_story(self.port, self.cookie, **request)["drafts"][0]["id"]
        return draft

    def page(self, draft: str, latency: float = 0.0) -> LivePage:
        """Open a page on `draft`."""
        return LivePage(self.port, self.cookie, draft, latency)

    def text(self, draft: str) -> str:
        """The text of `draft` on the server, in units form."""
        with self.page(draft) as page:
            return page.text

    def get(self, path: str) -> Any:
        """The JSON answer to GET."""
        return ask(self.port, "GET", path, Cookie=self.cookie).json

    def engine(self) -> psutil.Process:
        """The engine's process. Raises StopIteration if none is running."""
        children = self.process.children(recursive=True)
        return next(child for child in children if "generator.engine" in child.cmdline())


def _environment(modules: Path, real: bool) -> dict[str, str]:
    if not real:
        (modules / "torch.py").write_text('raise ImportError("fake models do not need torch")\n')
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
    """Run a server on the folder `data` until the block ends. It is then terminated and must end within 15 seconds.

    Port 0 is any free port. `fakes` lists the fake models and `log` is the file for stderr. Unless `real` models are
    used, importing torch fails at once, which saves seconds at every start of the engine.
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
