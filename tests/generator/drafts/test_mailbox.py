"""How long text of models gathers before it is stored and shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from generator.drafts.mailbox import LEAST_SECONDS, MOST_SECONDS, collect_seconds
from web.loop_lag import LoopLag


@given(st.integers(0, 100), st.integers(0, 100), st.floats(0, 10), st.floats(0, 10))
def test_the_busier_the_server_the_longer_text_gathers(writers: int, others: int, lag: float, more: float) -> None:
    seconds = collect_seconds(writers, lag)
    assert LEAST_SECONDS <= seconds <= collect_seconds(writers + others, lag + more) <= MOST_SECONDS
    assert collect_seconds(2, 0.0005) == LEAST_SECONDS, "a server with little to do shows every word at once"
    assert collect_seconds(16, 0.0005) == 0.16
    assert collect_seconds(50, 0.0005) == collect_seconds(1, 0.02) == MOST_SECONDS


@given(st.floats(0, 0.016))
def test_who_wakes_late_by_nature_is_not_busy(always: float) -> None:
    lag = LoopLag(lambda late: None)
    for _ in range(100):
        lag.slept(always)
    assert collect_seconds(1, lag.seconds) == LEAST_SECONDS
    for _ in range(10):
        lag.slept(always + 0.02)
    assert collect_seconds(1, lag.seconds) > 0.9 * MOST_SECONDS
    for _ in range(30):
        lag.slept(always)
    assert collect_seconds(1, lag.seconds) == LEAST_SECONDS


def test_who_is_always_late_because_there_is_much_to_do_is_busy() -> None:
    lag = LoopLag(lambda late: None)
    for _ in range(100):
        lag.slept(0.05)
    assert collect_seconds(1, lag.seconds) == MOST_SECONDS


def test_a_laptop_that_slept_is_not_busy_for_long() -> None:
    lag = LoopLag(lambda late: None)
    for late in (0.0, 3600.0, *[0.0] * 30):
        lag.slept(late)
    assert collect_seconds(1, lag.seconds) == LEAST_SECONDS
