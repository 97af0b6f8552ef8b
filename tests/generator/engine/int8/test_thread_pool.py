"""Threads that share out work: every piece is done once, errors are heard, two callers don't wait for each other."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from generator.engine.int8.compiling import compiled
from generator.engine.int8.thread_pool import ThreadPool, end, is_over, meet, take


@compiled
def _mark(board, marks, last_seen, phases, threads):  # type: ignore[no-untyped-def]
    for phase in range(phases):
        piece = take(board, phase)
        while piece < marks.shape[1]:
            # What others did in the phase before must be seen.
            last_seen[phase, piece] = phase == 0 or marks[phase - 1].sum() == marks.shape[1]
            marks[phase, piece] += 1
            piece = take(board, phase)
        meet(board, phase, threads)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_every_piece_is_done_once_and_phases_follow_each_other(threads: int) -> None:
    team = ThreadPool(threads)
    for _ in range(20):
        board, marks = np.zeros(60, np.int64), np.zeros((50, 7), np.int64)
        seen = np.zeros((50, 7), np.bool_)
        team.run(lambda _, board=board, marks=marks, seen=seen: _mark(board, marks, seen, 50, threads))  # type: ignore[misc]
        assert (marks == 1).all()
        assert seen.all()


def test_what_a_thread_raises_is_heard_and_the_team_goes_on() -> None:
    team = ThreadPool(3)
    for broken in range(3):
        with pytest.raises(ZeroDivisionError):
            team.run(lambda thread, broken=broken: 1 // (thread - broken))  # type: ignore[misc]
    done: list[int] = []
    team.run(done.append)
    assert sorted(done) == [0, 1, 2]


def test_two_callers_take_turns() -> None:
    team, meeting = ThreadPool(3), threading.Barrier(3)
    callers = [threading.Thread(target=team.run, args=(lambda _: meeting.wait(),)) for _ in range(8)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(30)
        assert not caller.is_alive()


@compiled
def _go_on(board, threads):  # type: ignore[no-untyped-def]
    meet(board, 0, threads)
    was_over = is_over(board)
    meet(board, 1, threads)
    meet(board, 2, threads)
    return was_over


@pytest.mark.parametrize("threads", [2, 3])
def test_who_ends_it_lets_the_others_go_at_this_meeting_and_all_later_ones(threads: int) -> None:
    team, board, seen = ThreadPool(threads), np.zeros(60, np.int64), []
    _go_on(np.zeros(60, np.int64), 1)  # compiled, or the others would wait for that
    caller = threading.Thread(
        target=team.run,
        args=(lambda thread: seen.append(_go_on(board, threads)) if thread else end(board),),
        daemon=True,
    )
    caller.start()
    caller.join(60)
    assert not caller.is_alive()
    assert seen == [True] * (threads - 1)
