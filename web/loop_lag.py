"""Lag: how late tasks that sleep wake up, which everybody waits who is served by the loop.

Owns the probe and what of its lateness says that there is much to do. Knows nothing of who asks.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_PROBE_SECONDS, _PROBES = 0.1, 50
_CLOCK_TICK_SECONDS = 0.016
_SUSPENDED_SECONDS = 1.0  # who is later had the lid closed


class LoopLag:
    """`seconds` is how much later than by nature, on average, the last times counting most. `observe` hears of each
    time as it was."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        self.seconds = 0.0
        self._observe = observe
        self._late = deque[float](maxlen=_PROBES)

    def probe(self, sleep: Callable[[float], None]) -> None:
        """Measures for ever how late `sleep` returns."""
        while True:
            begin = time.perf_counter()
            sleep(_PROBE_SECONDS)
            self.slept(time.perf_counter() - begin - _PROBE_SECONDS)

    def slept(self, late: float) -> None:
        """A task that slept woke up so many seconds late."""
        late = max(0.0, late)
        self._observe(late)
        self._late.append(min(late, _SUSPENDED_SECONDS))
        # Some systems wake nobody before their clock's next tick, however little there is to do.
        self.seconds += (self._late[-1] - min(*self._late, _CLOCK_TICK_SECONDS) - self.seconds) / 4
