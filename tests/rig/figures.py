"""What a run of the rig found, as one line of JSON: docs/reliability.md quotes such lines."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from tests.web.raw_page import ask


def share(count: int) -> int:
    """As much of a long test's count as STORYGEN_TEST_SHARE asks for, from 0 to 1; all of it without."""
    return max(1, round(count * float(os.environ.get("STORYGEN_TEST_SHARE", "1"))))


def new_seed() -> int:
    return secrets.randbits(32)


def show(test: str, seed: int, **figures: Any) -> None:
    """Prints the line. pytest shows it where a test failed, or with -s."""
    date = datetime.now(timezone.utc).date().isoformat()
    print("\n" + json.dumps({"test": test, "date": date, "seed": seed, **figures}, ensure_ascii=False))  # noqa: T201


def hub_lag(port: int) -> dict[str, float]:
    """Milliseconds by which a server's loop was late at most, from the histogram's buckets."""
    text = ask(port, "GET", "/metrics").body.decode()
    buckets = [(float(at), float(n)) for at, n in re.findall(r'story_hub_lag_seconds_bucket{le="([^"]+)"} (\S+)', text)]
    total = buckets[-1][1]
    return {
        name: next(at for at, n in buckets if n >= part * total) * 1000 for name, part in [("p99", 0.99), ("max", 1)]
    }


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and the longest, in milliseconds."""
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return (
        {name: round(ordered[int(part * (len(ordered) - 1))] * 1000, 1) for name, part in at.items()} if ordered else {}
    )
