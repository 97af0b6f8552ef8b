"""Unmasking, threads for blocking work, and the choice of the async mode."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.conftest import MODES, ROOT
from web.concurrency import unmask

TICKING = """
import sys
from web import concurrency
mode = sys.argv[1]
if mode == concurrency.EVENTLET:
    assert concurrency.check_eventlet() is None
    concurrency.patch_standard_library()
import ctypes, threading, time
sleep = ctypes.CDLL(None).usleep if sys.platform != "win32" else ctypes.windll.kernel32.Sleep
run_blocking = concurrency.serial_runner(mode)
ticks, order = [], []
def tick():
    while True:
        time.sleep(0.01)
        ticks.append(1)
def block(number):
    order.append(number)
    sleep(500_000 if sys.platform != "win32" else 500)
    return number
threading.Thread(target=tick, daemon=True).start()
others = [threading.Thread(target=run_blocking, args=(block, n)) for n in range(2)]
others += [threading.Thread(target=concurrency.serial_runner(mode), args=(block, 9))]
for other in others:
    other.start()
    time.sleep(0.05)
for other in others:
    other.join()
assert run_blocking(block, 2) == 2
try:
    run_blocking(int, "x")
except ValueError:
    print(len(ticks) > 30, order.index(9) < 2, [number for number in order if number != 9])
"""


@pytest.mark.parametrize("mode", MODES)
def test_blocking_work_runs_in_order_while_other_tasks_go_on(mode: str) -> None:
    ended = subprocess.run([sys.executable, "-c", TICKING, mode], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ended.stdout.strip() == "True True [0, 1, 2]", ended.stderr


@given(data=st.binary(max_size=40), mask=st.binary(min_size=4, max_size=4), offset=st.integers(0, 9), cut=st.booleans())
def test_unmasking_is_xor_with_the_repeated_mask(data: bytes, mask: bytes, offset: int, cut: bool) -> None:
    length = len(data) // 2 if cut else None
    expected = bytes(byte ^ mask[(offset + at) % 4] for at, byte in enumerate(data[:length]))
    assert unmask(data, mask, length, offset) == expected


@pytest.mark.app
def test_threads_are_used_when_eventlet_does_not_work(tmp_path: Path) -> None:
    (tmp_path / "eventlet.py").write_text("raise ImportError('gone')")
    command = [sys.executable, "server.py", "--port", "0", "--no-browser", "--data", str(tmp_path / "data")]
    environ = os.environ | {"PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stderr.readline() == "eventlet cannot be imported (gone). Threads are used instead.\n"
            assert process.stdout.readline().startswith("StoryGen is at ")
        finally:
            process.terminate()
            process.communicate(timeout=15)
