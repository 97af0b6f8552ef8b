"""How long text of models gathers before it is stored and shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from generator.drafts.mailbox import MAX_GATHER_SECONDS, MIN_GATHER_SECONDS, gather_seconds
from web.loop_lag import LoopLag


@given(st.integers(0, 100), st.integers(0, 100), st.floats(0, 10), st.floats(0, 10))
def test_the_busier_the_server_the_longer_text_gathers(writers: int, others: int, lag: float, more: float) -> None:
    seconds = gather_seconds(writers, lag)
    assert MIN_GATHER_SECONDS <= seconds <= gather_seconds(writers + others, lag + more) <= MAX_GATHER_SECONDS
    assert gather_seconds(2, 0.0005) == MIN_GATHER_SECONDS, "a server with little to do shows every word at once"
    assert gather_seconds(16, 0.0005) == 0.16
    assert gather_seconds(50, 0.0005) == gather_seconds(1, 0.02) == MAX_GATHER_SECONDS


@given(st.floats(0, 0.016))
def test_who_wakes_late_by_nature_is_not_busy(always: float) -> None:
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


def test_who_is_always_late_because_there_is_much_to_do_is_busy() -> None:
    lag = LoopLag(lambda late: None)
    for _ in range(100):
        lag.slept(0.05)
    assert gather_seconds(1, lag.seconds) == MAX_GATHER_SECONDS


def test_a_laptop_that_slept_is_not_busy_for_long() -> None:
    lag = LoopLag(lambda late: None)
    for late in (0.0, 3600.0, *[0.0] * 30):
        lag.slept(late)
    assert gather_seconds(1, lag.seconds) == MIN_GATHER_SECONDS
