"""The lag of the loop: an average of late wake-ups without the delay that the system's clock always has."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from web.loop_lag import LoopLag

PROBES = 50
CLOCK_TICK = 0.016
lateness = st.lists(st.floats(-0.01, 0.2) | st.floats(0, 3600), max_size=120)


def lag_after(late: list[float]) -> LoopLag:
    lag = LoopLag(lambda seconds: None)
    for seconds in late:
        lag.slept(seconds)
    return lag


@given(lateness)
@example([0.0, *[0.01] * 49])
@example([0.0, *[0.01] * 50])
def test_the_lag_is_a_weighted_average_of_the_excess_lateness(late: list[float]) -> None:
    capped = [min(max(seconds, 0.0), 1.0) for seconds in late]
    expected = 0.0
    for age, at in enumerate(reversed(range(len(capped)))):
        usual = min(capped[max(0, at + 1 - PROBES) : at + 1])
        expected += 0.25 * 0.75**age * (capped[at] - min(usual, CLOCK_TICK))
    assert lag_after(late).seconds == pytest.approx(expected, abs=1e-9)


@given(lateness)
def test_the_lag_is_never_negative_and_below_one_second(late: list[float]) -> None:
    assert -1e-12 <= lag_after(late).seconds <= 1.0


@given(lateness)
def test_every_measurement_is_observed_unchanged_but_never_negative(late: list[float]) -> None:
    observed: list[float] = []
    lag = LoopLag(observed.append)
    for seconds in late:
        lag.slept(seconds)
    assert observed == [max(0.0, seconds) for seconds in late]


@given(st.floats(0, CLOCK_TICK))
def test_a_constant_delay_of_the_clock_is_no_lag(always: float) -> None:
    assert lag_after([always] * 60).seconds == pytest.approx(0.0, abs=1e-9)


def test_a_constant_delay_above_the_clock_tick_counts_from_there() -> None:
    assert lag_after([0.05] * 60).seconds == pytest.approx(0.05 - CLOCK_TICK, rel=1e-3)


class ProbeEnded(Exception):
    """Ends the endless probe."""


def test_the_probe_measures_how_late_sleep_returns() -> None:
    observed: list[float] = []
    asked: list[float] = []
    began = time.perf_counter()

    def sleep_too_long(seconds: float) -> None:
        if len(asked) == 2:
            raise ProbeEnded
        asked.append(seconds)
        time.sleep(seconds + 0.03)

    with pytest.raises(ProbeEnded):
        LoopLag(observed.append).probe(sleep_too_long)
    assert asked == [0.1, 0.1]
    assert len(observed) == 2
    assert all(late >= 0.029 for late in observed)
    assert sum(observed) <= time.perf_counter() - began - sum(asked)
