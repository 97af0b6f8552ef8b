"""The page of what was measured, docs/performance.md from its mark on, made from the record.

Owns its words and tables. What stands above the mark is written by people.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from statistics import median
from typing import Any

from benchmarks.musts import Must, musts
from benchmarks.record import FOLDER, PARTS, Record

PAGE = FOLDER.parent / "performance.md"
MARK = "<!-- From here on `python -m benchmarks` writes. -->\n"
_HEADINGS = {
    "forward": "Tokens a second, beside others",
    "perplexity": "Perplexity",
    "reaction": "Reaction to an edit",
    "gaps": "From one token to the next",
    "endless": "After very many tokens",
    "fairness": "Everybody's share",
    "memory": "Memory of the engine's process",
    "whole_program": "Through server and socket",
    "loops": "Loops",
}
# What is shown of gaps, and how it is called.
_GAPS = {
    "tokens": "tokens of each draft",
    "median_ms": "median, ms",
    "p99_ms": "p99, ms",
    "p999_ms": "p99.9, ms",
    "most_ms": "most, ms",
}


def write_page(record: Record) -> None:
    """And its pictures, where matplotlib is installed; those there are stay otherwise."""
    if find_spec("matplotlib"):
        from benchmarks.plots import draw

        draw(record)
    above = PAGE.read_text(encoding="utf-8").split(MARK)[0].rstrip("\n")
    PAGE.write_text(f"{above}\n\n{MARK}\n" + "\n".join(_lines(record)).rstrip("\n") + "\n", encoding="utf-8")


def _lines(record: Record) -> Iterator[str]:
    if not record:
        return
    yield "## What must hold, and what does\n"
    yield from _table(("", "measured", "must", "aim", ""), map(_must_cells, musts(record)))
    for part in PARTS:
        if part in record:
            yield from _part(part, record[part])


def _part(part: str, entry: dict[str, Any]) -> Iterator[str]:
    yield f"## {_HEADINGS[part]}\n"
    took = f", {entry['seconds'] / 60:.1f} minutes" if "seconds" in entry else ""
    yield f"`python -m benchmarks {part}`, {entry['date']}, {entry['machine']}{took}.\n"
    yield from _SECTIONS[part](entry["figures"])
    if (FOLDER / f"{part}.svg").exists():
        yield f"![{_HEADINGS[part]}](performance/{part}.svg)\n"


def _must_cells(row: Must) -> Sequence[object]:
    bound = "≤" if row.most else "≥"
    verdict = "holds" if row.holds else "**missed**"
    if not row.must:
        verdict = ""
    if row.aim:
        aim = "aim reached" if row.reaches_aim else "short of the aim"
        verdict = f"{verdict}, {aim}" if verdict else aim
    verdict = row.unjudged or verdict
    return row.what, _joined(row.figures), _bounds(bound, row.must), _bounds(bound, row.aim), verdict


def _bounds(sign: str, bounds: Sequence[float]) -> str:
    return f"{sign} {_joined(bounds)}" if bounds else ""


def _joined(values: Sequence[float]) -> str:
    return " / ".join(f"{value:g}" for value in values)


def _table(head: Sequence[str], rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
    yield ""


def _forward(figures: Any) -> Iterator[str]:
    yield f"Medians of {figures['rounds']} rounds, {figures['threads']} threads. GPT-2 has random weights.\n"
    for model, rates in figures["tokens_per_second"].items():
        yield from _table((model, "tokens/s"), rates.items())


def _perplexity(figures: Any) -> Iterator[str]:
    yield "The bundled model on *Alice's Adventures in Wonderland*, from the second chapter on.\n"
    names = [name for found in figures.values() for name in found if name != "tokens"]
    names = list(dict.fromkeys(names))
    rows = [(found["tokens"], *(found.get(name, "") for name in names)) for found in figures.values()]
    yield from _table(("tokens", *names), rows)


def _reaction(figures: Any) -> Iterator[str]:
    yield "From the end of the hold, or from the edit itself, to the first new token, in steps and milliseconds."
    yield "`recompute`: another text of the same length.\n"
    head = ("", "edit", "edits", "p50, steps", "p95, steps", "p50, ms", "p95, ms")
    measures = ("count", "p50_steps", "p95_steps", "p50_ms", "p95_ms")
    rows = [
        (f"{name} (a step: {found['step_ms']} ms)", kind, *(row[measure] for measure in measures))
        for name, found in figures.items()
        for kind, row in found["edits"].items()
    ]
    yield from _table(head, rows)


def _gaps(figures: Any) -> Iterator[str]:
    rows = [(name, *(found[measure] for measure in _GAPS)) for name, found in figures.items()]
    yield from _table(("", *_GAPS.values()), rows)


def _endless(figures: Any) -> Iterator[str]:
    yield "At its end a long draft and one near its 1,000th token write in turns: `late` and `early`, medians."
    yield "There are twice as many drafts then, half of which wait. Windows are computed ahead in some turns of each,"
    yield "not in others, so hundredths are chance."
    yield "`calm`: stretches of the long drafts without a gap of more than three medians."
    yield "`end by start`: their last fifth by their first, as the machine was so much later.\n"
    columns = _GAPS | {"late_ms": "late, ms", "early_ms": "early, ms"}
    rows = [
        (name, *(found[measure] for measure in columns), _calm(found), _end_by_start(found))
        for name, found in figures.items()
    ]
    yield from _table(("", *columns.values(), "calm", "end by start"), rows)


def _calm(found: Any) -> str:
    buckets = found["buckets_ms"]
    return f"{sum(most <= 3 * found['median_ms'] for _, most in buckets)} of {len(buckets)}"


def _end_by_start(found: Any) -> float:
    medians = [middle for middle, _ in found["buckets_ms"]]
    fifth = len(medians) // 5
    return float(round(median(medians[-fifth:]) / median(medians[:fifth]), 2))


def _fairness(figures: Any) -> Iterator[str]:
    yield f"{figures['seconds']:g} seconds each, tokens written.\n"
    head = ("", "16 equal drafts, least and most", "one draft of one owner", "the other owner's 15, least and most")
    models = {name: found for name, found in figures.items() if isinstance(found, dict)}
    rows = [
        (model, _ends(found["equal"]), found["one_of_two_owners"], _ends(found["others"]))
        for model, found in models.items()
    ]
    yield from _table(head, rows)


def _ends(ordered: Sequence[int]) -> str:
    return f"{ordered[0]} to {ordered[-1]}"


def _memory(figures: Any) -> Iterator[str]:
    models = {name: found for name, found in figures.items() if isinstance(found, dict)}
    head = ("", "while 16 drafts write, MB", "most ever, MB", "of it weights and slots, MB")
    rows = [(model, found["rss_mb"], found["peak_mb"], found["tensors_mb"]) for model, found in models.items()]
    yield from _table(head, rows)


def _whole_program(figures: Any) -> Iterator[str]:
    yield f"First word: {figures['cold_seconds']} s after a server's start,"
    yield f"{figures['warm_seconds']} s with the model loaded.\n"
    head = (
        "drafts",
        "tokens/s at Socket.IO clients",
        "of those made meanwhile",
        "tokens/s of the engine alone",
        "share",
    )
    measures = ("arrives_per_second", "arrives", "made_alone_per_second", "of_alone")
    yield from _table(head, [(n, *(figures[f"{n} drafts"][measure] for measure in measures)) for n in (1, 16)])


def _loops(figures: Any) -> Iterator[str]:
    yield f"{figures['tokens']:,} tokens for each of {figures['seeds']} seeds;"
    yield "the share of 4-grams that stood there before.\n"
    head = ("voice", "in the whole text", "in the last 512 tokens", "longest stretch that is there twice")
    rows = [(name, *found.values()) for name, found in figures["voices"].items()]
    yield from _table(head, rows)


_SECTIONS = {
    "forward": _forward,
    "perplexity": _perplexity,
    "reaction": _reaction,
    "gaps": _gaps,
    "endless": _endless,
    "fairness": _fairness,
    "memory": _memory,
    "whole_program": _whole_program,
    "loops": _loops,
}
