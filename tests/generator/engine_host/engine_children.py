"""Child processes that run `engine_script.py`, and how long they keep other threads from running."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


def engine_command(*behaviour: str) -> tuple[str, ...]:
    """Return the command of a stand-in engine with this behaviour."""
    return (sys.executable, str(Path(__file__).with_name("engine_script.py")), *behaviour)


def children() -> set[int]:
    """Return the process ids of all running descendants of this process."""
    return {child.pid for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE}


@contextmanager
def longest_standstill() -> Iterator[list[float]]:
    """Measure how long another thread, green under eventlet, could not run, each time, in seconds."""
    gaps, done = [0.0], threading.Event()

    def tick() -> None:
        last = time.monotonic()
        while not done.wait(0.01):
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        yield gaps
    finally:
        done.set()
        ticker.join()
