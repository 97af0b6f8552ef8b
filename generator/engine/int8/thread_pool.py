"""Thread pool: a few threads that run the same compiled function together.

Owns the threads, and the counters by which they share out work and wait for each other. Numba's own threads would do
where they are OpenMP's; elsewhere, starting them costs more than the computation of a small step. Knows nothing of
models.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from functools import cache
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt
from numba import types

from generator.engine.int8.atomics import fetch, fetch_add, pause
from generator.engine.int8.compiling import compiled

# The number of times a waiting thread reads the counter before it offers its core to other threads.
_SPINS_BEFORE_YIELD = 2000
_yield_core = types.ExternalFunction("SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32())


class ThreadPool:
    """`count` threads, of which the caller of `run` is number 0."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._jobs: list[SimpleQueue[Callable[[int], object]]] = [SimpleQueue() for _ in range(count - 1)]
        self._results: SimpleQueue[Exception | None] = SimpleQueue()
        # One model may be loading while another computes.
        self._lock = threading.Lock()
        for number, jobs in enumerate(self._jobs, 1):
            threading.Thread(target=self._work, args=(number, jobs), name=f"pool {number}", daemon=True).start()

    def run(self, job: Callable[[int], object]) -> None:
        """Call `job` with the number of each thread, in all threads at once. Raise the first exception of a job."""
        with self._lock:
            for jobs in self._jobs:
                jobs.put(job)
            results = [_attempt(job, 0), *(self._results.get() for _ in self._jobs)]
        for result in results:
            if result is not None:
                raise result

    def _work(self, number: int, jobs: SimpleQueue[Callable[[int], object]]) -> None:
        while True:
            self._results.put(_attempt(jobs.get(), number))


def _attempt(job: Callable[[int], object], number: int) -> Exception | None:
    try:
        job(number)
    except Exception as error:  # noqa: BLE001 - `run` raises it in the caller's thread
        return error
    return None


@cache
def shared_pool(count: int) -> ThreadPool:
    """Return the pool of `count` threads that all models share."""
    return ThreadPool(count)


# A job has one array of int64 counters, all zero at first. `counters[0]` is the number of arrivals at barriers;
# `counters[1 + phase]` is the number of claimed work items of a phase.
# An aborted job has more arrivals than any other job, so that no thread waits at a barrier any more.
_ABORTED = 2**40


def new_counters(num_phases: int) -> npt.NDArray[np.int64]:
    """Return the counters of a job with `num_phases` phases, `[1 + num_phases]`."""
    return np.zeros(1 + num_phases, np.int64)


@compiled
def claim(counters, phase):
    """Return the number of the next work item of a phase. Each number goes to one thread."""
    return fetch_add(counters, 1 + phase, 1)


@compiled
def wait_at_barrier(counters, phase, threads):
    """Wait until all `threads` have arrived at the barrier that ends a phase. Phases are numbered from 0 in order."""
    goal = threads * (phase + 1)
    fetch_add(counters, 0, 1)
    spins = 0
    while fetch(counters, 0) < goal:
        spins += 1
        if spins % _SPINS_BEFORE_YIELD == 0:
            _yield_core()
        pause()


@compiled
def abort(counters):
    """Open all barriers of a job, for threads that wait now and for later ones.

    A thread calls it instead of arriving at its next barrier. The results of the other threads are worthless then.
    """
    fetch_add(counters, 0, _ABORTED)


@compiled
def is_aborted(counters):
    """Whether the job was aborted. All threads get the same answer if they ask right after the same barrier."""
    return fetch(counters, 0) >= _ABORTED
