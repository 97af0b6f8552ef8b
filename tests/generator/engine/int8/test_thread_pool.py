"""Thread pool: one thread per work item, phases in order, errors that reach the caller, aborts that end waits."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from generator.engine.int8.compiling import compiled
from generator.engine.int8.thread_pool import (
    ThreadPool,
    abort,
    claim,
    is_aborted,
    new_counters,
    shared_pool,
    wait_at_barrier,
)


@compiled
def _count_claims(counters, claims, last_seen, phases, threads):  # type: ignore[no-untyped-def]
    for phase in range(phases):
        item = claim(counters, phase)
        while item < claims.shape[1]:
            # The writes of other threads in the phase before must be visible.
            last_seen[phase, item] = phase == 0 or claims[phase - 1].sum() == claims.shape[1]
            claims[phase, item] += 1
            item = claim(counters, phase)
        wait_at_barrier(counters, phase, threads)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_each_work_item_is_claimed_once_and_phases_follow_each_other(threads: int) -> None:
    pool = ThreadPool(threads)
    for _ in range(20):
        counters, claims = new_counters(50), np.zeros((50, 7), np.int64)
        seen = np.zeros((50, 7), np.bool_)
        pool.run(
            lambda _, counters=counters, claims=claims, seen=seen: _count_claims(counters, claims, seen, 50, threads)  # type: ignore[misc]
        )
        assert (claims == 1).all()
        assert seen.all()
        assert counters[0] == 50 * threads


def test_an_exception_in_a_thread_reaches_the_caller_and_the_pool_goes_on() -> None:
    pool = ThreadPool(3)
    for broken in range(3):
        with pytest.raises(ZeroDivisionError):
            pool.run(lambda thread, broken=broken: 1 // (thread - broken))  # type: ignore[misc]
    done: list[int] = []
    pool.run(done.append)
    assert sorted(done) == [0, 1, 2]


def test_jobs_of_several_callers_run_one_after_another() -> None:
    pool, meeting = ThreadPool(3), threading.Barrier(3)
    callers = [threading.Thread(target=pool.run, args=(lambda _: meeting.wait(),)) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
        assert not caller.is_alive()


def test_models_with_the_same_number_of_threads_share_a_pool() -> None:
    assert shared_pool(2) is shared_pool(2)
    assert shared_pool(2).count == 2


@compiled
def _pass_three_barriers(counters, threads):  # type: ignore[no-untyped-def]
    wait_at_barrier(counters, 0, threads)
    was_aborted = is_aborted(counters)
    wait_at_barrier(counters, 1, threads)
    wait_at_barrier(counters, 2, threads)
    return was_aborted


@pytest.mark.parametrize("threads", [2, 3])
def test_an_abort_opens_this_barrier_and_all_later_ones(threads: int) -> None:
    pool, counters, seen = ThreadPool(threads), new_counters(60), []
    # Compiled in advance: otherwise the other threads would wait for the compiler.
    assert not _pass_three_barriers(new_counters(60), 1)
    caller = threading.Thread(
        target=pool.run,
        args=(lambda thread: seen.append(_pass_three_barriers(counters, threads)) if thread else abort(counters),),
        daemon=True,
    )
    caller.start()
    caller.join(60)
    assert not caller.is_alive()
    assert seen == [True] * (threads - 1)
