"""Token bucket: a budget that is refilled at a constant rate.

Owns the arithmetic of the rate and the burst. Knows nothing of the actions that are limited.
"""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBucket:
    """A budget of at most `burst`, refilled by `rate` per second. It has no lock: the caller must hold one if several
    threads use it."""

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left, self._at = burst, clock()

    def take(self, amount: float = 1) -> bool:
        """Take `amount` if the budget has that much. Return whether it was taken."""
        self._refill()
        if self._left < amount:
            return False
        self._left -= amount
        return True

    def borrow(self, amount: float) -> float:
        """Take `amount` even if the budget becomes negative. Return the seconds until it is no longer negative."""
        self._refill()
        self._left -= amount
        return max(0.0, -self._left / self._rate)

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
