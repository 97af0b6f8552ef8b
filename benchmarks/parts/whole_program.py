"""The whole program: the wait for the first word, and the share of tokens that arrives through server and socket.

Run it as `python -m benchmarks.parts.whole_program [TOKENS]`; 400 tokens take four minutes. The last line is JSON.
`cold` is the first word of a server that was just started and loads the model first; `warm` is that of the next draft.
`arrives` is the number of tokens at the Socket.IO clients, divided by the number that the server's engine generates
meanwhile. `of_alone` divides by the rate of the same drafts in the engine's own loop, where the server and the clients
take no processor time. Both are measured in turns.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.rig.engine import Engine
from benchmarks.rig.models import BUNDLED, load
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
    """The number of tokens that the page has received."""
    return sum(len(update.get("tokens", ())) for update in list(page.updates))


def has_written(page: LivePage) -> bool:
    return tokens_of(page) > 0


def first_word(server: AppServer) -> float:
    """Seconds from the start of a new draft."""
    with server.page(server.draft(model=NAME, prompt=PROMPT)) as page:
        begin = time.monotonic()
        page.ask("start", limit=8)
        page.wait_until(partial(has_written, page), PATIENCE_SECONDS)
        seconds = time.monotonic() - begin
        page.ask("pause")
    return round(seconds, 2)


def made_by(server: AppServer) -> float:
    """The number of tokens that the server's engine has generated so far."""
    figures = ask(server.port, "GET", "/metrics").body.decode()
    return float(figures.partition("\nstory_engine_tokens_total ")[2].partition("\n")[0])


def arriving(server: AppServer, drafts: int, tokens: int) -> tuple[float, float]:
    """Tokens per second at the pages, from when all have begun until one has `tokens`, and the share that arrived."""
    with ExitStack() as stack:
        pages = [stack.enter_context(server.page(server.draft(model=NAME, prompt=PROMPT))) for _ in range(drafts)]
        for page in pages:
            page.ask("start")
        for page in pages:
            page.wait_until(partial(has_written, page), PATIENCE_SECONDS)
        begin, before, made_before = time.monotonic(), sum(map(tokens_of, pages)), made_by(server)
        pages[0].wait_until(lambda: tokens_of(pages[0]) >= tokens, PATIENCE_SECONDS)
        seconds, arrived, made = time.monotonic() - begin, sum(map(tokens_of, pages)) - before, made_by(server)
        for page in pages:
            page.ask("pause")
    return arrived / seconds, arrived / (made - made_before)


def made_alone(engine: Engine, drafts: Sequence[int], tokens: int) -> float:
    """Tokens per second of the same drafts in the engine's own loop."""
    for draft in drafts:
        engine.set_context(draft, Piece(PROMPT))
    engine.run(lambda: all(map(engine.count, drafts)))
    begin, before = time.monotonic(), sum(map(engine.count, drafts))
    engine.run(lambda: engine.count(drafts[0]) >= tokens)
    rate = (sum(map(engine.count, drafts)) - before) / (time.monotonic() - begin)
    for draft in drafts:
        engine.drop(draft)
    return rate


def compare(server: AppServer, engine: Engine, drafts: int, tokens: int) -> dict[str, float]:
    """Measure both in turns, so that other load on the machine affects both."""
    arrived, shares, made = [], [], []
    for turn in range(TURNS):
        rate, share = arriving(server, drafts, tokens)
        arrived.append(rate)
        shares.append(share)
        # New drafts in every turn, because a draft's tokens are counted from its beginning.
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
            # Each of sixteen drafts writes a third, which takes as long as one draft alone.
            results[f"{drafts} drafts"] = compare(server, engine, drafts, tokens if drafts == 1 else tokens // 3)
        results["engine_mb"] = server.engine().memory_info().rss // 10**6
    for name, found in results.items():
        print(f"{name:15} {found}", flush=True)
    print(json.dumps({"tokens": tokens, **results}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)
