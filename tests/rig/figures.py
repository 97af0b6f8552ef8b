"""What a run of the rig found, as one line of JSON: docs/reliability.md quotes such lines."""

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

_PARTS = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


def share(count: int) -> int:
    """As much of a long test's count as STORYGEN_TEST_SHARE asks for, from 0 to 1; all of it without."""
    return max(1, round(count * float(os.environ.get("STORYGEN_TEST_SHARE", "1"))))


def new_seed() -> int:
    return secrets.randbits(32)


def show(test: str, seed: int, **figures: Any) -> None:
    """Prints the line. pytest shows it where a test failed, or with -s."""
    date = datetime.now(timezone.utc).date().isoformat()
    print("\n" + json.dumps({"test": test, "date": date, "seed": seed, **figures}, ensure_ascii=False))  # noqa: T201


class Stolen:
    """How much of this machine's processor time its host gives to others: what has to be known of times that are
    measured on it."""

    def __init__(self) -> None:
        self._begin = self._seconds()

    def share(self) -> float:
        """Since this was made; 0 where nobody can tell."""
        stolen, every = (now - before for now, before in zip(self._seconds(), self._begin, strict=True))
        return round(stolen / every, 3) if every else 0.0

    def _seconds(self) -> tuple[float, float]:
        times = psutil.cpu_times()
        return getattr(times, "steal", 0.0), sum(times)


def hub_lag(port: int) -> dict[str, float]:
    """Milliseconds by which a server's loop was late at most."""
    return _bounds(port, "story_hub_lag_seconds", "")


def edit_answers(port: int) -> dict[str, float]:
    """Milliseconds from an edit's arrival at a server to its answer, at most."""
    return _bounds(port, "story_event_answer_seconds", 'event="edit",')


def _bounds(port: int, histogram: str, labels: str) -> dict[str, float]:
    """Of each part of what was observed, the upper end of the bucket it lies in."""
    text = ask(port, "GET", "/metrics").body.decode()
    found = re.findall(rf'{histogram}_bucket{{{labels}le="([^"]+)"}} (\S+)', text)
    buckets = [(float(at), float(count)) for at, count in found]
    total = buckets[-1][1] if buckets else 0
    return {
        name: next(at for at, count in buckets if count >= part * total) * 1000
        for name, part in _PARTS.items()
        if total
    }


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and the longest, in milliseconds."""
    ordered = sorted(seconds)
    return (
        {name: round(ordered[int(part * (len(ordered) - 1))] * 1000, 1) for name, part in _PARTS.items()}
        if ordered
        else {}
    )
