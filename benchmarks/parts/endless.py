"""Endless text: the cost of a token after 100,000 others, compared with the 1,000th token of a fresh draft.

Run it as `python -m benchmarks.parts.endless`, with 1 draft and with 16 at once; it takes 60 to 90 minutes on two
cores. The last line is JSON. Sixteen drafts write 100,000 tokens together. At the end of the long drafts the same
number of fresh drafts starts, and near their 1,000th token both groups write in turns, so that other load on the
machine slows both. A slowdown of the whole process does not show in that comparison; it shows between the long drafts'
own first and last gaps.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.parts.gaps import measure_each, summary, write
from benchmarks.rig.engine import Engine, gaps, quantile
from benchmarks.rig.record import GPT2, SMOLLM2

TOKENS = {(SMOLLM2, 1): 100_000, (SMOLLM2, 16): 6250, (GPT2, 1): 100_000, (GPT2, 16): 6250}
EARLY = 1000
# Together the turns are as long as a window, so they include one window move.
TURNS, TURN = 16, 64


def turn(engine: Engine, drafts: Sequence[int]) -> list[float]:
    """Let each draft write `TURN` more tokens. Return the gaps between these, in milliseconds."""
    before = {draft: len(engine.written[draft]) for draft in drafts}
    for draft in drafts:
        engine.set_budget(draft, 1, engine.count(draft) + TURN)
    engine.run(lambda: False)
    return [1000 * gap for draft in drafts for gap in gaps(engine.written[draft][before[draft] :])]


def late_beside_early(engine: Engine, late: Sequence[int], early: Sequence[int]) -> dict[str, object]:
    """Compare the median gaps of long drafts and of fresh drafts, which write in turns."""
    write(engine, early, EARLY - TURNS * TURN // 2)
    turns = [(turn(engine, late), turn(engine, early)) for _ in range(TURNS)]
    late_ms, early_ms = (quantile([gap for part in parts for gap in part], 0.5) for parts in zip(*turns, strict=True))
    return {
        "early_ms": round(early_ms, 2),
        "late_ms": round(late_ms, 2),
        "late_to_early": round(late_ms / early_ms, 3),
        "late_to_early_each_turn": [round(quantile(each, 0.5) / quantile(other, 0.5), 3) for each, other in turns],
    }


def measure(engine: Engine, count: int, tokens: int) -> dict[str, object]:
    """Let `count` drafts write `tokens` tokens each, then compare them with fresh drafts."""
    late, early = range(count), range(count, 2 * count)
    write(engine, late, tokens)
    return {**summary(engine, late), **late_beside_early(engine, late, early)}


if __name__ == "__main__":
    measure_each(TOKENS, measure)
