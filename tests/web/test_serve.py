"""Serving until a signal: the announced address, the order of an orderly end, and an end that hangs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.web.conftest import MODES, ROOT
from tests.web.raw_page import ask
from web.serve import address

SCRIPT = """
import sys
from web import concurrency
mode, closes = sys.argv[1:]
if mode == concurrency.EVENTLET:
    assert concurrency.check_eventlet() is None
    concurrency.patch_standard_library()
import time
from web import serve
serve.STOP_SECONDS = 1.0
def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "6")])
    return [b"served"]
def close():
    print("closed", flush=True)
    time.sleep(0 if closes == "soon" else 60)
listener = concurrency.listen("127.0.0.1", 0)
serve.serve_until_stopped(mode, listener, app, lambda: print("hung up", flush=True), close)
"""


@contextmanager
def serving(mode: str, closes: str) -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """Yield the announced port, and the process."""
    command = [sys.executable, "-c", SCRIPT, mode, closes]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith("StoryGen is at http://127.0.0.1:"), line
            yield int(line.rpartition(":")[2]), process
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("host", "port", "expected"),
    [
        ("127.0.0.1", 80, "http://127.0.0.1:80"),
        ("localhost", 5000, "http://localhost:5000"),
        ("::1", 1, "http://[::1]:1"),
    ],
)
def test_an_address_is_a_url_that_a_browser_opens(host: str, port: int, expected: str) -> None:
    assert address(host, port) == expected


@pytest.mark.app
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that asks a process to end")
@pytest.mark.parametrize("mode", MODES)
def test_a_signal_ends_the_connections_before_the_rest_is_closed(mode: str) -> None:
    with serving(mode, "soon") as (port, process):
        assert ask(port, "GET", "/").body == b"served"
        process.terminate()
        assert process.communicate(timeout=15)[0] == "hung up\nclosed\n"
        assert process.returncode == 0


@pytest.mark.app
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signal that asks a process to end")
@pytest.mark.parametrize("mode", MODES)
def test_an_end_that_hangs_is_cut_short_with_a_failure(mode: str) -> None:
    with serving(mode, "never") as (_, process):
        began = time.monotonic()
        process.terminate()
        assert process.wait(15) == 1
        assert time.monotonic() - began >= 1.0, "closing has its time first"
