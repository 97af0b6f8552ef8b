"""Atomics: additions of several threads to one counter are all counted."""

from __future__ import annotations

import threading

import numpy as np

from generator.engine.int8.atomics import fetch, fetch_add, pause
from generator.engine.int8.compiling import compiled


@compiled
def _add_many(counters, index, times):  # type: ignore[no-untyped-def]
    """Return the sum of the values before each addition."""
    total = 0
    for _ in range(times):
        total += fetch_add(counters, index, 1)
        pause()
    return total


@compiled
def _read(counters, index):  # type: ignore[no-untyped-def]
    return fetch(counters, index)


def test_additions_by_several_threads_are_all_counted_and_return_distinct_values() -> None:
    counters, totals, times = np.zeros(3, np.int64), [], 20_000
    _add_many(np.zeros(3, np.int64), 1, 1)
    threads = [threading.Thread(target=lambda: totals.append(_add_many(counters, 1, times))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert counters.tolist() == [0, 4 * times, 0]
    assert sum(totals) == sum(range(4 * times))
    assert _read(counters, 1) == 4 * times
