"""What a token costs after 100,000 others, beside the 1,000th of a draft that has just begun: 1 draft, and 16 at once.

Run it as `python -m benchmarks.endless`, 60 to 90 minutes on two cores. The last line is JSON. When the long drafts are
there, as many others begin, and near their 1,000th token both write in turns, so that what slows the machine down slows
both. What slows the whole process does not show in that, but in the long drafts' own first and last gaps. Sixteen
drafts write 100,000 tokens together.
"""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.engine import Engine, gaps, quantile
from benchmarks.gaps import measure_each, summary, write
from benchmarks.record import GPT2, SMOLLM2

TOKENS = {(SMOLLM2, 1): 100_000, (SMOLLM2, 16): 6250, (GPT2, 1): 100_000, (GPT2, 16): 6250}
EARLY = 1000
# As long as a window: the swaps of one are in it.
TURNS, TURN = 16, 64


def turn(engine: Engine, drafts: Sequence[int]) -> list[float]:
    """Each writes `TURN` tokens more; the gaps between these, in milliseconds."""
    before = {draft: len(engine.written[draft]) for draft in drafts}
    for draft in drafts:
        engine.allow(draft, 1, engine.count(draft) + TURN)
    engine.run(lambda: False)
    return [1000 * gap for draft in drafts for gap in gaps(engine.written[draft][before[draft] :])]


def late_beside_early(engine: Engine, late: Sequence[int], early: Sequence[int]) -> dict[str, object]:
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
    late, early = range(count), range(count, 2 * count)
    write(engine, late, tokens)
    return {**summary(engine, late), **late_beside_early(engine, late, early)}


if __name__ == "__main__":
    measure_each(TOKENS, measure)
