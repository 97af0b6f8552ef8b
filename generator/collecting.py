"""Collecting: how long a draft's model text gathers before it is stored and shown.

Owns the answer only. The later a task that sleeps wakes up, the busier the server is, and the longer text gathers:
however many write on however small a machine, most of its time is left for those who type. Knows nothing of text.
"""

from __future__ import annotations

LEAST_SECONDS, MOST_SECONDS = 0.03, 0.3
_LAGS = 40


def collect_seconds(lag: float) -> float:
    """`lag` is how late a sleeping task wakes up, in seconds, over the last half second or so."""
    return min(MOST_SECONDS, max(LEAST_SECONDS, _LAGS * lag))
