"""The time from one token to the next over a long text, with its windows' swaps: 1 draft, and 16 at once.

Run it as `python -m benchmarks.gaps [--long]`, five to twelve minutes; `--long` is 100,000 tokens of one draft and as
many of sixteen together, for each model an hour. The last line is JSON. All drafts begin alike, with half a window, so
that sixteen windows are full at the same time. On a rented machine the host may give processors to others for a while:
`undisturbed` is the share of gaps in which it was not seen to, and they are shown by themselves too. That is a lower
bound: the longer a gap, the likelier it was disturbed.
"""

from __future__ import annotations

import json
import sys

from benchmarks.engine import Engine, gaps_and_thefts, quantile
from benchmarks.models import measured_models
from benchmarks.record import GPT2, SMOLLM2
from generator.engine.model_runner import ModelRunner

BEFORE = 512
# So many tokens of each draft lie around its 1,000th, and at its end: two windows' swaps are in them.
SPAN = 1024
BUCKETS = 100
TOKENS = {(SMOLLM2, 1): 4000, (SMOLLM2, 16): 1300, (GPT2, 1): 2600, (GPT2, 16): 800}
LONG = {(SMOLLM2, 1): 100_000, (SMOLLM2, 16): 6250, (GPT2, 1): 100_000, (GPT2, 16): 6250}


def write(runner: ModelRunner, drafts: int, tokens: int) -> tuple[list[list[float]], list[float]]:
    """Each draft's gaps in milliseconds, and all those in which no host took processors away. The first 64 tokens are
    left out: until then all are on their way."""
    engine = Engine(runner)
    for draft in range(drafts):
        engine.tell(draft, engine.extract(300 * draft, BEFORE))
    engine.run(lambda: min(map(engine.count, range(drafts))) >= tokens)
    found = [gaps_and_thefts(engine.written[draft])[64:tokens] for draft in range(drafts)]
    undisturbed = [1000 * gap for each in found for gap, theft in each if not theft]
    return [[1000 * gap for gap, _ in each] for each in found], undisturbed


def summary(drafts: list[list[float]], undisturbed: list[float]) -> dict[str, object]:
    every = [gap for draft in drafts for gap in draft]
    middle = quantile(every, 0.5)
    early = [gap for draft in drafts for gap in draft[max(0, 1000 - SPAN // 2) :][:SPAN]]
    late = [gap for draft in drafts for gap in draft[-SPAN:]]
    size = max(1, len(drafts[0]) // BUCKETS)
    buckets = [[gap for draft in drafts for gap in draft[at : at + size]] for at in range(0, len(drafts[0]), size)]
    return {
        "gaps": len(every),
        "median_ms": round(middle, 2),
        # Too few tokens to tell one from the other.
        "late_to_early": round(quantile(late, 0.5) / quantile(early, 0.5), 3) if len(drafts[0]) > 2 * SPAN else None,
        "p99_ms": round(quantile(every, 0.99), 2),
        "p999_ms": round(quantile(every, 0.999), 2),
        "most_ms": round(max(every), 2),
        "p999_to_median": round(quantile(every, 0.999) / middle, 2),
        "undisturbed": round(len(undisturbed) / len(every), 3),
        "undisturbed_p999_to_median": round(quantile(undisturbed, 0.999) / quantile(undisturbed, 0.5), 2)
        if undisturbed
        else None,
        # For the picture: median and largest gap of each stretch of so many tokens.
        "bucket_tokens": size,
        "buckets_ms": [[round(quantile(bucket, 0.5), 2), round(max(bucket), 2)] for bucket in buckets],
    }


def main(wanted: dict[tuple[str, int], int]) -> None:
    results: dict[str, dict[str, object]] = {}
    with measured_models() as runners:
        for (model, drafts), tokens in wanted.items():
            found = {"tokens": tokens, **summary(*write(runners[model], drafts, tokens))}
            results[f"{model}, {drafts} drafts"] = found
            shown = "  ".join(f"{name} {value}" for name, value in found.items() if "bucket" not in name)
            print(f"{model:13} {drafts:2} drafts  {shown}", flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main(LONG if "--long" in sys.argv else TOKENS)
