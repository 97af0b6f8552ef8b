"""The mailbox: order, batching, and an answer to every request; and how long model text is gathered."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.drafts.mailbox import MAX_GATHER_SECONDS, MIN_GATHER_SECONDS, Mailbox, Request, gather_seconds
from stories.errors import Refused
from web.loop_lag import LoopLag


def test_requests_that_wait_are_one_batch_in_order() -> None:
    mailbox = Mailbox(lambda: 0.0)
    for number in range(5):
        mailbox.post(partial(int, number))
    batch, is_last = mailbox.take(0.0, None, None)
    assert [request.event() for request in batch] == [0, 1, 2, 3, 4]
    assert not is_last
    assert len(mailbox) == 0


def test_posted_requests_gather_until_a_caller_waits() -> None:
    mailbox = Mailbox(lambda: 1000.0)
    with ThreadPoolExecutor(2) as threads:
        mailbox.post(lambda: "text")
        taking = threads.submit(mailbox.take, time.monotonic(), None, None)
        threading.Event().wait(0.05)
        assert not taking.done(), "text may still follow"
        asking = threads.submit(mailbox.ask, lambda: "edit", lambda: "answer")
        batch, _ = taking.result(10)
        assert [request.event() for request in batch] == ["text", "edit"]
        batch[1].succeed()
        assert asking.result(10) == "answer"


def test_gathering_ends_at_the_deadline_and_waiting_ends_when_due() -> None:
    mailbox = Mailbox(lambda: 1000.0)
    mailbox.post(lambda: "text")
    now = time.monotonic()
    batch, _ = mailbox.take(now, now + 0.05, None)
    assert len(batch) == 1
    assert mailbox.take(now, None, now) == ([], False)


def test_requests_before_the_end_are_handled_and_later_ones_refused() -> None:
    mailbox = Mailbox(lambda: 0.0)
    mailbox.post(lambda: "before")
    mailbox.end()
    batch, is_last = mailbox.take(0.0, None, None)
    assert [request.event() for request in batch] == ["before"]
    assert is_last
    with ThreadPoolExecutor(1) as threads:
        late = threads.submit(mailbox.ask, lambda: "late", lambda: None)
        while not len(mailbox):
            threading.Event().wait(0.001)
        mailbox.close()
        for asked in (late.result, lambda _: mailbox.ask(lambda: "later", lambda: None)):
            with pytest.raises(Refused) as refusal:
                asked(10)
            assert refusal.value.code == "busy"


def test_an_answer_that_cannot_be_computed_reaches_the_caller() -> None:
    mailbox = Mailbox(lambda: 0.0)
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(mailbox.ask, lambda: None, lambda: 1 // 0)
        (request,), _ = mailbox.take(0.0, None, None)
        request.succeed()
        request.refuse("invalid", "It was answered before.")
        with pytest.raises(ZeroDivisionError):
            asked.result(10)
    Request(lambda: None).succeed()
    Request(lambda: None).refuse("invalid", "No caller waits.")


@given(st.integers(0, 100), st.integers(0, 100), st.floats(0, 10), st.floats(0, 10))
def test_the_busier_the_server_the_longer_text_gathers(writing: int, others: int, lag: float, more: float) -> None:
    seconds = gather_seconds(writing, lag)
    assert MIN_GATHER_SECONDS <= seconds <= gather_seconds(writing + others, lag + more) <= MAX_GATHER_SECONDS
    assert gather_seconds(2, 0.0005) == MIN_GATHER_SECONDS, "a server with little to do shows every word at once"
    assert gather_seconds(16, 0.0005) == 0.16
    assert gather_seconds(50, 0.0005) == gather_seconds(1, 0.02) == MAX_GATHER_SECONDS


@given(st.floats(0, 0.016))
def test_a_clock_that_always_ticks_late_does_not_look_busy(always: float) -> None:
    lag = LoopLag(lambda late: None)
    for _ in range(100):
        lag.slept(always)
    assert gather_seconds(1, lag.seconds) == MIN_GATHER_SECONDS
    for _ in range(10):
        lag.slept(always + 0.02)
    assert gather_seconds(1, lag.seconds) > 0.9 * MAX_GATHER_SECONDS
    for _ in range(30):
        lag.slept(always)
    assert gather_seconds(1, lag.seconds) == MIN_GATHER_SECONDS


def test_a_loop_that_is_always_late_is_busy() -> None:
    lag = LoopLag(lambda late: None)
    for _ in range(100):
        lag.slept(0.05)
    assert gather_seconds(1, lag.seconds) == MAX_GATHER_SECONDS


def test_a_laptop_that_slept_is_not_busy_for_long() -> None:
    lag = LoopLag(lambda late: None)
    for late in (0.0, 3600.0, *[0.0] * 30):
        lag.slept(late)
    assert gather_seconds(1, lag.seconds) == MIN_GATHER_SECONDS
