"""Reaction: the time from an edit to the first new token, by the edit's distance from the end of a full window.

Run it as `python -m benchmarks.parts.reaction [EDITS]`; 20 edits of each kind near the end take three and a half
minutes. The last line is JSON. The time counts from the end of the hold (decoding waits while the engine computes what
the edit changed), and also from the edit itself, as if there were no hold. It is given in milliseconds and in steps. A
step is the median time of a token with the same number of drafts while nothing is edited. `recompute` replaces the text
by another one of the same length.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from benchmarks.rig.engine import ENDLESS, Arrival, Engine, gaps, quantile
from benchmarks.rig.models import measured_models
from generator.engine.networks.model_runner import ModelRunner
from generator.wire.messages import Piece
from stories.draft.reducer import EDIT_HOLD_SECONDS

WINDOW = 990
NEAR, OTHER = 4, (64, 256)
FEW = 4
# The number of tokens written between two edits: so few that the window never moves.
AFTER = 8
WORDS = (" suddenly", " quietly", " never", " again", " perhaps")
COMPANY = (0, 15)
PATIENCE_SECONDS = 60


@dataclass
class Writer:
    """The edited draft, among `company` other drafts that write without end."""

    engine: Engine
    company: int
    epochs: count[int] = field(default_factory=lambda: count(1))

    def begin(self) -> None:
        """Start the other drafts and wait until each has written."""
        others = range(1, self.company + 1)
        for other in others:
            # Different lengths, so that their windows are not all full at once.
            self.engine.set_context(other, self.engine.extract(250 * other, 256 + 32 * other))
        self._wait(lambda: all(map(self.engine.count, others)))

    def edit(self, distance: int, hold: float) -> float:
        """Seconds until the first token. The previous edit must be at the same place, or there is more to compute."""
        epoch = next(self.epochs)
        head, tail = self.engine.extract(0, WINDOW - distance), self.engine.extract(WINDOW - distance, distance)
        return self._seconds(epoch, (head, Piece(WORDS[epoch % len(WORDS)]), tail), hold)

    def replace(self) -> float:
        """Seconds until the first token of another text of the same length."""
        epoch = next(self.epochs)
        return self._seconds(epoch, (self.engine.extract(1000 * (1 + epoch % 8), WINDOW),), 0)

    def _seconds(self, epoch: int, pieces: tuple[Piece, ...], hold: float) -> float:
        begin = time.perf_counter()
        self.engine.set_context(0, *pieces, epoch=epoch, budget=0 if hold else ENDLESS)
        if hold:
            time.sleep(hold)
            begin = time.perf_counter()
            self.engine.set_budget(0, epoch, ENDLESS)
        self._wait(lambda: sum(arrival.count for arrival in self._of(epoch)) >= AFTER)
        return self._of(epoch)[0].at - begin

    def _of(self, epoch: int) -> list[Arrival]:
        return [arrival for arrival in self.engine.written[0] if arrival.epoch == epoch]

    def _wait(self, has_come: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_SECONDS
        while not has_come():
            assert time.monotonic() < end, "The engine does not react."
            time.sleep(0.005)


def measure(runner: ModelRunner, company: int, edits: int) -> dict[str, Any]:
    """The reaction to each kind of edit, among `company` other drafts."""
    engine = Engine(runner)
    writer = Writer(engine, company)
    waits: dict[str, list[float]] = {}
    with engine.running():
        writer.begin()
        for distance in (NEAR, *OTHER):
            times = edits if distance == NEAR else FEW
            writer.edit(distance, 0)
            waits[f"{distance} tokens from the end"] = [writer.edit(distance, EDIT_HOLD_SECONDS) for _ in range(times)]
            waits[f"{distance} tokens from the end, no hold"] = [writer.edit(distance, 0) for _ in range(times)]
        waits["recompute"] = [writer.replace() for _ in range(FEW)]
    # No edit falls between two tokens of one epoch.
    step = quantile(gaps(engine.written[0]), 0.5)
    rows = {name: row_of(found, step) for name, found in waits.items()}
    faster = rows["recompute"]["p50_ms"] / rows[f"{NEAR} tokens from the end"]["p50_ms"]
    return {"step_ms": round(1000 * step, 1), "faster_than_recomputing": round(faster, 1), "edits": rows}


def row_of(waits: list[float], step: float) -> dict[str, float]:
    """The quantiles of the waits, in steps and milliseconds."""
    row: dict[str, float] = {"count": len(waits)}
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        seconds = quantile(waits, share)
        row |= {f"{name}_steps": round(seconds / step, 2), f"{name}_ms": round(1000 * seconds, 1)}
    return row


def main(edits: int) -> None:
    results: dict[str, dict[str, Any]] = {}
    with measured_models() as runners:
        for model, runner in runners.items():
            for company in COMPANY:
                name = f"{model}, {1 + company} drafts"
                results[name] = found = measure(runner, company, edits)
                print(f"{name}: a step takes {found['step_ms']} ms")
                for kind, row in found["edits"].items():
                    print(f"  {kind:36} " + "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
