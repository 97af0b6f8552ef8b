"""What a person gets through server and socket: the wait for the first word, and the share of tokens that arrives.

Run it as `python -m benchmarks.whole_program [TOKENS]`, four minutes for 400 tokens. The last line is JSON. `cold` is
the first word of a server that was just started, which loads the model first; `warm` that of the next draft. `arrives`
is what comes to Socket.IO clients by what the server's engine makes meanwhile; `of_alone` by what the same drafts make
in the engine's own loop, where neither server nor clients take of the cores; both in turns.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.engine import Engine
from benchmarks.models import BUNDLED, load
from generator.models.bundled import NAME
from generator.wire.messages import Piece
from tests.app.live_page import LivePage
from tests.app.server import AppServer, running_server
from tests.web.raw_page import ask

PROMPT = "Once upon a time, in a village by the sea"
DRAFTS = (1, 16)
TURNS = 5
PATIENCE_SECONDS = 300


def tokens_of(page: LivePage) -> int:
    return sum(len(update.get("tokens", ())) for update in list(page.updates))


def first_word(server: AppServer) -> float:
    """Seconds from the start of a new draft."""
    with server.page(server.draft(model=NAME, prompt=PROMPT)) as page:
        begin = time.monotonic()
        page.ask("start", limit=8)
        page.wait_until(lambda: tokens_of(page) > 0, PATIENCE_SECONDS)
        seconds = time.monotonic() - begin
        page.ask("pause")
    return round(seconds, 2)


def made_by(server: AppServer) -> float:
    """How many tokens the server's engine has made so far."""
    figures = ask(server.port, "GET", "/metrics").body.decode()
    return float(figures.partition("\nstory_engine_tokens_total ")[2].partition("\n")[0])


def arriving(server: AppServer, drafts: int, tokens: int) -> tuple[float, float]:
    """Tokens per second at the pages, from when all had begun until one has `tokens`, and by what was made then."""
    with ExitStack() as stack:
        pages = [stack.enter_context(server.page(server.draft(model=NAME, prompt=PROMPT))) for _ in range(drafts)]
        for page in pages:
            page.ask("start")
        for page in pages:
            page.wait_until(lambda page=page: tokens_of(page) > 0, PATIENCE_SECONDS)  # type: ignore[misc]
        begin, before, made_before = time.monotonic(), sum(map(tokens_of, pages)), made_by(server)
        pages[0].wait_until(lambda: tokens_of(pages[0]) >= tokens, PATIENCE_SECONDS)
        seconds, arrived, made = time.monotonic() - begin, sum(map(tokens_of, pages)) - before, made_by(server)
        for page in pages:
            page.ask("pause")
    return arrived / seconds, arrived / (made - made_before)


def made_alone(engine: Engine, drafts: Sequence[int], tokens: int) -> float:
    """Tokens per second of the engine's own loop."""
    for draft in drafts:
        engine.tell(draft, Piece(PROMPT))
    engine.run(lambda: all(map(engine.count, drafts)))
    begin, before = time.monotonic(), sum(map(engine.count, drafts))
    engine.run(lambda: engine.count(drafts[0]) >= tokens)
    rate = (sum(map(engine.count, drafts)) - before) / (time.monotonic() - begin)
    for draft in drafts:
        engine.drop(draft)
    return rate


def compare(server: AppServer, engine: Engine, drafts: int, tokens: int) -> dict[str, float]:
    """In turns, so that what else the machine does meets both."""
    arrived, shares, made = [], [], []
    for turn in range(TURNS):
        rate, share = arriving(server, drafts, tokens)
        arrived.append(rate)
        shares.append(share)
        # Nobody who has written before: what a draft has written is counted from its beginning.
        first = 1000 * drafts + 100 * turn
        made.append(made_alone(engine, range(first, first + drafts), tokens))
    return {
        "arrives_per_second": round(median(arrived), 1),
        "made_alone_per_second": round(median(made), 1),
        "arrives": round(median(shares), 3),
        "of_alone": round(median(a / m for a, m in zip(arrived, made, strict=True)), 3),
    }


def main(tokens: int) -> None:
    options = ("--precision", "int8", "--threads", str(os.cpu_count()))
    with (
        tempfile.TemporaryDirectory() as data,
        running_server(Path(data), "eventlet", options=options, real=True) as server,
    ):
        results: dict[str, object] = {"cold_seconds": first_word(server), "warm_seconds": first_word(server)}
        engine = Engine(load(BUNDLED))
        for drafts in DRAFTS:
            # Of sixteen each writes a third, which takes as long as one draft alone.
            results[f"{drafts} drafts"] = compare(server, engine, drafts, tokens if drafts == 1 else tokens // 3)
        results["engine_mb"] = server.engine().memory_info().rss // 10**6
    for name, found in results.items():
        print(f"{name:15} {found}", flush=True)
    print(json.dumps({"tokens": tokens, **results}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
