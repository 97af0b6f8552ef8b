"""Team: a few threads that go through the same compiled function together.

Owns the threads and how they share out work and wait for each other. Numba's own threads would do where they are
OpenMP's; elsewhere starting them costs more than what a small step computes. Knows nothing of models.
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

# So often a thread looks whether the others have arrived before it lets others have the processor.
_PATIENCE = 2000
_let_others = types.ExternalFunction("SwitchToThread" if sys.platform == "win32" else "sched_yield", types.int32())


class ThreadPool:
    def __init__(self, count: int) -> None:
        self.count = count
        self._jobs: list[SimpleQueue[Callable[[int], object]]] = [SimpleQueue() for _ in range(count - 1)]
        self._results: SimpleQueue[Exception | None] = SimpleQueue()
        # One model may be loading while another computes.
        self._turn = threading.Lock()
        for number, jobs in enumerate(self._jobs, 1):
            threading.Thread(target=self._work, args=(number, jobs), name=f"team {number}", daemon=True).start()

    def run(self, job: Callable[[int], object]) -> None:
        """Call `job` with each thread's number, at once; the caller's is 0."""
        with self._turn:
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
    except Exception as error:  # noqa: BLE001 - whoever called `run` hears of it
        return error
    return None


@cache
def team_of(count: int) -> ThreadPool:
    """Models share their threads."""
    return ThreadPool(count)


# Within a job, `board` is an array of int64, all zero at first: [0] counts arrivals, the others what is taken.
# More arrivals than any job has: nobody waits any more, and all is over.
_OVER = 2**40


def new_board(phases: int) -> npt.NDArray[np.int64]:
    return np.zeros(1 + phases, np.int64)


@compiled
def take(board, phase):
    """The number of the next piece of work in this phase."""
    return fetch_add(board, 1 + phase, 1)


@compiled
def meet(board, phase, threads):
    """Wait until all threads are done with this phase."""
    goal = threads * (phase + 1)
    fetch_add(board, 0, 1)
    looks = 0
    while fetch(board, 0) < goal:
        looks += 1
        if looks % _PATIENCE == 0:
            _let_others()
        pause()


@compiled
def end(board):
    """Let all go who wait, now or later, instead of coming to the next meeting. What they compute then is worth
    nothing."""
    fetch_add(board, 0, _OVER)


@compiled
def is_over(board):
    """The same for all who ask after one meeting."""
    return fetch(board, 0) >= _OVER
