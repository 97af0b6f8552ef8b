"""Fairness: the shares of drafts that write with one model, for 16 equal drafts and for two owners with 1 and 15.

Run it as `python -m benchmarks.parts.fairness [SECONDS]`: ten seconds for each of four cases, one and a half minutes in
all. The last line is JSON.
"""

from __future__ import annotations

import json
import sys
import time

from benchmarks.rig.engine import Engine
from benchmarks.rig.models import measured_models
from generator.engine.networks.model_runner import ModelRunner

DRAFTS, BEFORE = 16, 128


def write(runner: ModelRunner, owners: list[str], seconds: float) -> list[int]:
    """Return the number of tokens that each draft writes in `seconds`, counted from when all drafts have begun."""
    engine = Engine(runner)
    drafts = range(len(owners))
    for draft, owner in enumerate(owners):
        engine.set_context(draft, engine.extract(300 * draft, BEFORE), owner=owner)
    engine.run(lambda: min(map(engine.count, drafts)) > 0)
    before = [engine.count(draft) for draft in drafts]
    end = time.perf_counter() + seconds
    engine.run(lambda: time.perf_counter() > end)
    return [engine.count(draft) - before[draft] for draft in drafts]


def main(seconds: float) -> None:
    results: dict[str, dict[str, object]] = {}
    with measured_models() as runners:
        for model, runner in runners.items():
            equal = write(runner, ["one"] * DRAFTS, seconds)
            owned = write(runner, ["one"] + ["other"] * (DRAFTS - 1), seconds)
            results[model] = found = {
                "slowest_to_fastest": round(min(equal) / max(equal), 3),
                "equal": sorted(equal),
                "share_of_one": round(owned[0] / sum(owned), 3),
                "one_of_two_owners": owned[0],
                "others": sorted(owned[1:]),
            }
            print(f"{model:13} " + "  ".join(f"{name} {value}" for name, value in found.items()), flush=True)
    print(json.dumps({"seconds": seconds, "drafts": DRAFTS, **results}))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
