"""A token bucket: how much somebody may still do, refilled as time goes by. Knows nothing of what is done."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """Holds at most `burst`, refilled by `rate` a second. Not locked: one connection, one reader."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left, self._at = burst, clock()

    def take(self, amount: float = 1) -> bool:
        """Take `amount` if there is as much."""
        self._refill()
        if self._left < amount:
            return False
        self._left -= amount
        return True

    def borrow(self, amount: float) -> float:
        """Take `amount` in any case; returns the seconds to wait until it is paid back."""
        self._refill()
        self._left -= amount
        return max(0.0, -self._left / self._rate)

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
