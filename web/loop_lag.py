"""Loop lag: the delay with which sleeping tasks wake up, which is the time that every client waits for the event loop.

Owns the probe and the smoothed lag. Knows nothing of the users of the figure.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

_PROBE_SECONDS, _PROBES = 0.1, 50
_CLOCK_TICK_SECONDS = 0.016
_SUSPENDED_SECONDS = 1.0  # a longer delay means that the computer was suspended


class LoopLag:
    """The lag of the event loop.

    `seconds` is a moving average of the lag beyond the usual delay of up to one tick of the system clock.
    `observe` is called with the unchanged delay of each probe.
    """

    def __init__(self, observe: Callable[[float], None]) -> None:
        self.seconds = 0.0
        self._observe = observe
        self._late = deque[float](maxlen=_PROBES)

    def probe(self, sleep: Callable[[float], None]) -> None:
        """Measure without end how late `sleep` returns."""
        while True:
            begin = time.perf_counter()
            sleep(_PROBE_SECONDS)
            self.slept(time.perf_counter() - begin - _PROBE_SECONDS)

    def slept(self, late: float) -> None:
        """Record that a sleeping task woke up `late` seconds late."""
        late = max(0.0, late)
        self._observe(late)
        self._late.append(min(late, _SUSPENDED_SECONDS))
        # Some systems wake a task only at the next tick of their clock, even if they are idle.
        self.seconds += (self._late[-1] - min(*self._late, _CLOCK_TICK_SECONDS) - self.seconds) / 4
