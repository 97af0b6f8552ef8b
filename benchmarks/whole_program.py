"""What a person gets: the wait for the first word and the words after it, through server, engine and socket.

Run it as `python -m benchmarks.whole_program [PRECISION…]`; each precision is one cold start. The last line is JSON.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from generator.bundled import NAME
from tests.app.server import running_server

TOKENS = 400


def measure(precision: str) -> dict[str, float | str]:
    with (
        tempfile.TemporaryDirectory() as data,
        running_server(
            Path(data), "eventlet", options=("--precision", precision, "--threads", str(os.cpu_count())), real=True
        ) as server,
    ):
        draft = server.draft(model=NAME, prompt="Once upon a time, in a village by the sea")
        begin = time.monotonic()
        with server.page(draft) as page:
            page.ask("start", limit=TOKENS)
            page.wait_until(lambda: page.revision > 0, 300)
            first = time.monotonic()
            page.wait_until(lambda: any(state.get("detail") == "limit" for state in page.states), 300)
            seconds = time.monotonic() - first
            memory = server.engine().memory_info().rss / 2**20
    return {
        "precision": precision,
        "first_word_seconds": round(first - begin, 1),
        "tokens_per_second": round(TOKENS / seconds, 1),
        "engine_mib": round(memory),
    }


def main() -> None:
    rows = [measure(precision) for precision in sys.argv[1:] or ["fp32"]]
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
