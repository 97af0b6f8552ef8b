"""Gaps: the time from one token to the next over a long text whose window moves, for 1 draft and for 16 at once.

Run it as `python -m benchmarks.parts.gaps`; it takes five minutes. `endless` measures much longer texts. The last line
is JSON. Each draft begins with half a window of its own; as in the program, its first window move comes up to 3/8 of a
window early, at a different time for each draft. On a rented machine the host may give processors to other machines
for a while (steal time). `undisturbed` is the share of gaps without steal time, and their quantiles are shown too.
These are likely too low: the longer a gap, the likelier it is to contain steal time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from benchmarks.rig.engine import Engine, gaps_with_steal, quantile
from benchmarks.rig.models import measured_models
from benchmarks.rig.record import GPT2, SMOLLM2

BEFORE = 512
BUCKETS = 100
TOKENS = {(SMOLLM2, 1): 4000, (SMOLLM2, 16): 1300, (GPT2, 1): 2600, (GPT2, 16): 800}


def write(engine: Engine, drafts: Sequence[int], tokens: int) -> None:
    """Start the drafts and let each write `tokens` tokens."""
    for draft in drafts:
        engine.set_context(draft, engine.extract(300 * draft, BEFORE), budget=tokens)
    engine.run(lambda: False)


def summary(engine: Engine, drafts: Sequence[int]) -> dict[str, object]:
    """Summarize the drafts' gaps, without the first 64 of each draft: until then other drafts may still be starting."""
    found = [gaps_with_steal(engine.written[draft])[64:] for draft in drafts]
    each_draft = [[1000 * gap for gap, _ in each] for each in found]
    every = [gap for each in each_draft for gap in each]
    undisturbed = [1000 * gap for each in found for gap, stolen in each if not stolen]
    middle = quantile(every, 0.5)
    longest = max(map(len, each_draft))
    size = max(1, longest // BUCKETS)
    buckets = [[gap for each in each_draft for gap in each[at : at + size]] for at in range(0, longest, size)]
    return {
        "gaps": len(every),
        "median_ms": round(middle, 2),
        "p99_ms": round(quantile(every, 0.99), 2),
        "p999_ms": round(quantile(every, 0.999), 2),
        "most_ms": round(max(every), 2),
        "p999_to_median": round(quantile(every, 0.999) / middle, 2),
        "undisturbed": round(len(undisturbed) / len(every), 3),
        "undisturbed_p999_to_median": round(quantile(undisturbed, 0.999) / quantile(undisturbed, 0.5), 2)
        if undisturbed
        else None,
        # For the picture: the median and the largest gap of each stretch of `size` tokens.
        "bucket_tokens": size,
        "buckets_ms": [[round(quantile(bucket, 0.5), 2), round(max(bucket), 2)] for bucket in buckets],
    }


def measure(engine: Engine, count: int, tokens: int) -> dict[str, object]:
    """Let `count` drafts write `tokens` tokens each and summarize their gaps."""
    write(engine, range(count), tokens)
    return summary(engine, range(count))


def measure_each(wanted: dict[tuple[str, int], int], measure: Callable[[Engine, int, int], dict[str, object]]) -> None:
    """Measure each pair of model and number of drafts with an engine of its own, and print the results."""
    results: dict[str, dict[str, object]] = {}
    with measured_models() as runners:
        for (model, count), tokens in wanted.items():
            found = {"tokens": tokens, **measure(Engine(runners[model]), count, tokens)}
            name = f"{model}, {count} drafts"
            results[name] = found
            print(name, *(f" {key} {value}" for key, value in found.items() if "bucket" not in key), flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    measure_each(TOKENS, measure)
