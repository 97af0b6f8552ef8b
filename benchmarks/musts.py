"""What the program promises of its speed, beside what was measured. Pure: figures in, rows out.

Every row compares like with like from one run; `must` holds for every figure of the row, `aim` is what was tried for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.record import GPT2, SMOLLM2, Record

_MOST_GAP = 3


@dataclass(frozen=True, slots=True)
class Must:
    """`most` if the figures must not be greater, else they must not be smaller. No bound: nothing was promised.
    `unjudged` says why the figures tell nothing of the program."""

    what: str
    figures: Sequence[float]
    must: Sequence[float] = ()
    aim: Sequence[float] = ()
    most: bool = False
    unjudged: str = ""

    @property
    def holds(self) -> bool:
        return self._keeps(self.must)

    @property
    def reaches_aim(self) -> bool:
        return self._keeps(self.aim)

    def _keeps(self, bounds: Sequence[float]) -> bool:
        pairs = zip(self.figures, bounds, strict=False)
        return all(figure <= bound if self.most else figure >= bound for figure, bound in pairs)


def musts(record: Record) -> Iterator[Must]:
    """Those whose part was measured."""
    for part, rows in _ROWS.items():
        if part in record:
            yield from rows(record[part]["figures"])


def ratio(rates: dict[str, list[float]], ours: str, other: str) -> float:
    """The median of the rounds' ratios: what slowed a round down has slowed both."""
    return round(median(our / theirs for our, theirs in zip(rates[ours], rates[other], strict=True)), 2)


def ratios(
    rates: dict[str, list[float]], other: str, streams: Sequence[int], context: int, alone: bool, ours: str = "int8"
) -> list[float]:
    """The engine in 8 bits by `other`, which writes one text after another if `alone`."""
    before = f"{context} tokens before"
    return [
        ratio(rates, f"{ours}, {n} streams, {before}", f"{other}{'' if alone else f', {n} streams'}, {before}")
        for n in streams
    ]


def _forward(figures: Any) -> Iterator[Must]:
    rates, generate = figures["each_round"], "transformers.generate"
    few, many = [ratios(rates[GPT2], generate, (1, 16, 32), tokens, alone=True) for tokens in (64, 768)]
    yield Must(
        "GPT-2, times `transformers.generate`, 64 tokens before; 1 / 16 / 32 streams", few, (3.5, 20, 24), (5, 35, 45)
    )
    yield Must("the same, 768 tokens before", many, (3, 10, 12), (4.5, 20, 25))
    for tokens in (64, 768):
        found = ratios(rates[GPT2], generate, (1, 16, 32), tokens, alone=True, ours="int8-a16")
        yield Must(f"the same in `int8-a16`, {tokens} tokens before", found)
    smol = rates[SMOLLM2]
    if "llama.cpp, 1 streams, 64 tokens before" in smol:
        of_llama = ratios(smol, "llama.cpp", (1, 16), 64, alone=False)
        of_llama.append(ratio(smol, "int8, prefill of 768 tokens", "llama.cpp, prefill of 768 tokens"))
        yield Must("SmolLM2, times llama.cpp Q8_0; 1 / 16 streams / prefill", of_llama, (0.7, 1.5, 3), (1.1, 3, 5))


def _perplexity(figures: Any) -> Iterator[Must]:
    above = round(100 * (figures["whole"]["int8_to_fp32"] - 1), 2)
    yield Must("SmolLM2, perplexity above that of fp32, %", [above], (1,), most=True)
    if "beside" in figures:
        above = round(100 * (figures["beside"]["int8_to_llama_cpp"] - 1), 2)
        yield Must("SmolLM2, perplexity above that of llama.cpp Q8_0, %", [above], (), (0.5,), most=True)


def _reaction(figures: Any) -> Iterator[Must]:
    for model in (SMOLLM2, GPT2):
        alone, among = figures[f"{model}, 1 drafts"], figures[f"{model}, 16 drafts"]
        near = alone["edits"]["4 tokens from the end"]
        steps = [near["p50_steps"], near["p95_steps"]]
        yield Must(
            f"{model}, edit near the end, steps to the first new token; p50 / p95", steps, (2, 4), (1.5, 2), most=True
        )
        faster = [alone["faster_than_recomputing"]]
        yield Must(f"{model}, the same, times faster than recomputing the window", faster, (10,))
        steps = [among["edits"]["4 tokens from the end"]["p95_steps"]]
        yield Must(f"{model}, the same among 16 that write; p95", steps, (4,), (2,), most=True)


def _gaps(figures: Any) -> Iterator[Must]:
    for name, found in figures.items():
        what, worst = f"{name}, {found['tokens']:,} tokens, gap: p99.9 by median", found["p999_to_median"]
        undisturbed, theft = found["undisturbed_p999_to_median"], 1 - found["undisturbed"]
        # What holds in spite of theft holds, and what misses without theft misses.
        by_host = worst > _MOST_GAP and theft > 0.001 and (undisturbed is None or undisturbed <= _MOST_GAP)
        why = f"not judged: the host took processors away in {theft:.1%}" if by_host else ""
        yield Must(what, [worst], (_MOST_GAP,), (2,), most=True, unjudged=why)
        if undisturbed is not None:
            share = f"{found['undisturbed']:.1%}"
            what = f"the same of the {share} in which no host was seen to take processors away: likely too low"
            yield Must(what, [undisturbed])


def _endless(figures: Any) -> Iterator[Must]:
    for name, found in figures.items():
        what = f"{name}, gap: median at {found['tokens']:,} tokens by that at 1,000"
        yield Must(what, [found["late_to_early"]], (1.1,), (1.02,), most=True)
    yield from _gaps(figures)


def _fairness(figures: Any) -> Iterator[Must]:
    for model in (SMOLLM2, GPT2):
        found = figures[model]
        shares = [found["slowest_to_fastest"], found["share_of_one"]]
        yield Must(f"{model}, 16 equal drafts: slowest by fastest / owner of 1 beside 15: share", shares, (0.9, 0.4))


def _memory(figures: Any) -> Iterator[Must]:
    yield Must("engine's memory, GPT-2, 16 full windows, GB", [figures[GPT2]["rss_mb"] / 1000], (1.6,), (1,), most=True)


def _whole_program(figures: Any) -> Iterator[Must]:
    found = [figures[f"{drafts} drafts"] for drafts in (1, 16)]
    what = "tokens a second that reach Socket.IO clients, of those the engine makes meanwhile; 1 / 16 drafts"
    yield Must(what, [each["arrives"] for each in found], (0.95, 0.95), (0.99, 0.99))
    yield Must(
        "the same, of those it makes where server and clients take nothing", [each["of_alone"] for each in found]
    )


_ROWS = {
    "forward": _forward,
    "perplexity": _perplexity,
    "reaction": _reaction,
    "gaps": _gaps,
    "endless": _endless,
    "fairness": _fairness,
    "memory": _memory,
    "whole_program": _whole_program,
}
