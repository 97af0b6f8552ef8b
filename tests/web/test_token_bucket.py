"""Token bucket: at most the burst plus the refill is given."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from web.token_bucket import TokenBucket

steps = st.lists(st.tuples(st.floats(0, 5), st.integers(1, 20)), max_size=60)


@given(steps=steps, rate=st.integers(1, 20), burst=st.integers(1, 40))
def test_take_never_exceeds_the_burst_and_the_refill(steps: list[tuple[float, int]], rate: int, burst: int) -> None:
    now, given_ = 0.0, 0
    bucket = TokenBucket(rate, burst, lambda: now)
    for pause, amount in steps:
        now += pause
        given_ += amount if bucket.take(amount) else 0
        assert given_ <= burst + rate * now + 1e-6


@given(steps=steps, rate=st.integers(1, 20), burst=st.integers(1, 40))
def test_waiting_as_borrow_says_keeps_to_the_rate(steps: list[tuple[float, int]], rate: int, burst: int) -> None:
    now, taken = 0.0, 0
    bucket = TokenBucket(rate, burst, lambda: now)
    for pause, amount in steps:
        now += pause
        taken += amount
        now += bucket.borrow(amount)
        assert taken <= burst + rate * now + 1e-6


def test_an_idle_bucket_refills_to_its_burst() -> None:
    now = 0.0
    bucket = TokenBucket(2, 4, lambda: now)
    assert bucket.take(4)
    assert not bucket.take(1)
    now = 1.0
    assert bucket.take(2)
    now = 100.0
    assert not bucket.take(5)
    assert bucket.take(4)
