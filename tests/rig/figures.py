"""Figures: the results of a run of the rig as one line of JSON, which docs/reliability.md quotes."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

import psutil

from tests.web.raw_page import ask

_QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def share(count: int) -> int:
    """The part of a long test's `count` to run: STORYGEN_TEST_SHARE, from 0 to 1, of it, or all of it."""
    return max(1, round(count * float(os.environ.get("STORYGEN_TEST_SHARE", "1"))))


def new_seed() -> int:
    """A random seed, which the test prints so that its run can be repeated."""
    return secrets.randbits(32)


def show(test: str, seed: int, **figures: Any) -> None:
    """Print the line of a test. pytest shows it if the test fails, or with -s."""
    date = datetime.now(timezone.utc).date().isoformat()
    print("\n" + json.dumps({"test": test, "date": date, "seed": seed, **figures}, ensure_ascii=False))  # noqa: T201


class Stolen:
    """The processor time that the host takes from this machine, by which measured times have to be judged."""

    def __init__(self) -> None:
        self._begin = self._seconds()

    def share(self) -> float:
        """The stolen share since this object was made, or 0 if the system does not count it."""
        stolen, total = (now - before for now, before in zip(self._seconds(), self._begin, strict=True))
        return round(stolen / total, 3) if total else 0.0

    def _seconds(self) -> tuple[float, float]:
        times = psutil.cpu_times()
        return getattr(times, "steal", 0.0), sum(times)


def hub_lag(port: int) -> dict[str, float]:
    """Upper bounds of the lag of a server's event loop, in milliseconds."""
    return _bounds(port, "story_hub_lag_seconds", "")


def edit_answers(port: int) -> dict[str, float]:
    """Upper bounds of the time from an edit's arrival at a server to its answer, in milliseconds."""
    return _bounds(port, "story_event_answer_seconds", 'event="edit",')


def _bounds(port: int, histogram: str, labels: str) -> dict[str, float]:
    """The upper end of the histogram bucket that contains each of the quantiles `_QUANTILES`."""
    text = ask(port, "GET", "/metrics").body.decode()
    found = re.findall(rf'{histogram}_bucket{{{labels}le="([^"]+)"}} (\S+)', text)
    buckets = [(float(at), float(count)) for at, count in found]
    total = buckets[-1][1] if buckets else 0
    return {
        name: next(at for at, count in buckets if count >= quantile * total) * 1000
        for name, quantile in _QUANTILES.items()
        if total
    }


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 95th and 99th percentile and maximum, in milliseconds."""
    ordered = sorted(seconds)
    return (
        {name: round(ordered[int(quantile * (len(ordered) - 1))] * 1000, 1) for name, quantile in _QUANTILES.items()}
        if ordered
        else {}
    )
