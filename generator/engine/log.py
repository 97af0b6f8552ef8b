"""Log: one line to stderr, which the web process forwards. Never story text."""

from __future__ import annotations

import sys


def log(line: str) -> None:
    print(f"engine: {line}", file=sys.stderr, flush=True)  # noqa: T201
