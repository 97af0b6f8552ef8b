"""The generated page: docs/performance.md from its mark on, made from the record.

Owns its words and tables. People write the text above the mark.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from statistics import median
from textwrap import fill
from typing import Any

from benchmarks.report.labels import label
from benchmarks.report.targets import Target, targets
from benchmarks.rig.record import FOLDER, PARTS, Record

PAGE = FOLDER.parent / "performance.md"
MARK = "<!-- `python -m benchmarks` generates the rest of this page. -->\n"
_HEADINGS = {
    "forward": "Tokens a second, compared with other programs",
    "perplexity": "Perplexity",
    "reaction": "Reaction to an edit",
    "gaps": "From one token to the next",
    "endless": "After 100,000 tokens",
    "fairness": "Fairness",
    "memory": "Memory of the engine process",
    "whole_program": "Through server and socket",
    "loops": "Loops",
}
_PERPLEXITY = {"int8_to_fp32": "int8 / fp32", "int8_to_llama_cpp": "int8 / llama.cpp"}
# The columns of a table of gaps, by the record's keys.
_GAPS = {
    "tokens": "tokens per draft",
    "median_ms": "median, ms",
    "p99_ms": "p99, ms",
    "p999_ms": "p99.9, ms",
    "most_ms": "longest, ms",
}


def write_page(record: Record) -> None:
    """Generate the page, and its pictures where matplotlib is installed. Without it the old pictures stay."""
    if find_spec("matplotlib"):
        from benchmarks.report.plots import draw

        draw(record)
    PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), record), encoding="utf-8")


def renewed(page: str, record: Record) -> str:
    """Return `page` with everything after its mark generated from the record."""
    above = page.split(MARK)[0].rstrip("\n")
    return f"{above}\n\n{MARK}\n" + "\n".join(_lines(record)).rstrip("\n") + "\n"


def _lines(record: Record) -> Iterator[str]:
    if not record:
        return
    yield "## Targets and measurements\n"
    yield from _paragraph(
        "Each row compares figures of one run. A bound that is missed only because the host took processor time away "
        "(steal time) is not judged."
    )
    yield from _table(("", "measured", "required", "goal", ""), map(_target_cells, targets(record)))
    for part in PARTS:
        if part in record:
            yield from _part(part, record[part])


def _part(part: str, entry: dict[str, Any]) -> Iterator[str]:
    yield f"## {_HEADINGS[part]}\n"
    took = f", {entry['seconds'] / 60:.1f} minutes" if "seconds" in entry else ""
    yield from _paragraph(f"`python -m benchmarks {part}`, {entry['date']}, {entry['machine']}{took}.")
    yield from _SECTIONS[part](entry["figures"])
    if (FOLDER / f"{part}.svg").exists():
        yield f"![{_HEADINGS[part]}](performance/{part}.svg)\n"


def _target_cells(row: Target) -> Sequence[object]:
    sign = "≤" if row.is_maximum else "≥"
    verdict = "holds" if row.holds else "**missed**"
    if not row.required:
        verdict = ""
    if row.goal:
        goal = "goal reached" if row.reaches_goal else "goal not reached"
        verdict = f"{verdict}, {goal}" if verdict else goal
    verdict = row.unjudged or verdict
    return row.name, _joined(row.figures), _bounds(sign, row.required), _bounds(sign, row.goal), verdict


def _bounds(sign: str, bounds: Sequence[float]) -> str:
    return f"{sign} {_joined(bounds)}" if bounds else ""


def _joined(values: Sequence[float]) -> str:
    return " / ".join(f"{value:g}" for value in values)


def _paragraph(text: str) -> Iterator[str]:
    yield fill(text, 120)
    yield ""


def _table(head: Sequence[str], rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"
    yield ""


def _forward(figures: Any) -> Iterator[str]:
    yield f"Medians of {figures['rounds']} rounds, {figures['threads']} threads. GPT-2 has random weights.\n"
    for model, rates in figures["tokens_per_second"].items():
        yield from _table((model, "tokens/s"), ((label(name), rate) for name, rate in rates.items()))


def _perplexity(figures: Any) -> Iterator[str]:
    yield from _paragraph(
        "The bundled model on *Alice's Adventures in Wonderland*, from the second chapter on. The second row covers "
        "the stretches that llama.cpp's server was asked about."
    )
    names = [name for found in figures.values() for name in found if name != "tokens"]
    names = list(dict.fromkeys(names))
    rows = [(found["tokens"], *(found.get(name, "") for name in names)) for found in figures.values()]
    yield from _table(("tokens", *(_PERPLEXITY.get(name, name) for name in names)), rows)


def _reaction(figures: Any) -> Iterator[str]:
    yield from _paragraph(
        "The time to the first new token, in steps and milliseconds. It counts from the end of the hold, or, in rows "
        "with *no hold*, from the edit itself. *recompute* replaces the text by another one of the same length."
    )
    head = ("", "edit", "edits", "p50, steps", "p95, steps", "p50, ms", "p95, ms")
    measures = ("count", "p50_steps", "p95_steps", "p50_ms", "p95_ms")
    rows = [
        (f"{label(name)} (one step: {found['step_ms']} ms)", kind, *(row[measure] for measure in measures))
        for name, found in figures.items()
        for kind, row in found["edits"].items()
    ]
    yield from _table(head, rows)


def _gaps(figures: Any) -> Iterator[str]:
    rows = [(label(name), *(found[measure] for measure in _GAPS)) for name, found in figures.items()]
    yield from _table(("", *_GAPS.values()), rows)


def _endless(figures: Any) -> Iterator[str]:
    yield from _paragraph(
        "At its end, a long draft (*late*) and a draft near its 1,000th token (*early*) write in turns; the table "
        "gives the medians of their gaps. While one of them writes, the other waits. The engine computes lookahead "
        "windows in some turns and not in others, so differences of a few hundredths are chance. *calm* counts the "
        "stretches of the long drafts without a gap of more than three medians. *end / start* divides the medians of "
        "their last fifth by those of their first fifth, so it includes changes of the machine in between."
    )
    columns = _GAPS | {"late_ms": "late, ms", "early_ms": "early, ms"}
    rows = [
        (label(name), *(found[measure] for measure in columns), _calm(found), _end_by_start(found))
        for name, found in figures.items()
    ]
    yield from _table(("", *columns.values(), "calm", "end / start"), rows)


def _calm(found: Any) -> str:
    buckets = found["buckets_ms"]
    return f"{sum(most <= 3 * found['median_ms'] for _, most in buckets)} of {len(buckets)}"


def _end_by_start(found: Any) -> float:
    medians = [middle for middle, _ in found["buckets_ms"]]
    fifth = len(medians) // 5
    return float(round(median(medians[-fifth:]) / median(medians[:fifth]), 2))


def _fairness(figures: Any) -> Iterator[str]:
    yield f"Tokens written in {figures['seconds']:g} seconds.\n"
    head = ("", "each of 16 equal drafts", "the only draft of one owner", "each of the other owner's 15 drafts")
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
    head = ("", "while 16 drafts write, MB", "highest ever, MB", "weights and KV cache, MB")
    rows = [(model, found["rss_mb"], found["peak_mb"], found["tensors_mb"]) for model, found in models.items()]
    yield from _table(head, rows)


def _whole_program(figures: Any) -> Iterator[str]:
    yield from _paragraph(
        f"The first word takes {figures['cold_seconds']} s after the start of a server and {figures['warm_seconds']} s "
        "with the model loaded."
    )
    head = (
        "drafts",
        "tokens/s at Socket.IO clients",
        "share of the tokens generated meanwhile",
        "tokens/s of the engine alone",
        "share of these",
    )
    measures = ("arrives_per_second", "arrives", "made_alone_per_second", "of_alone")
    yield from _table(head, [(n, *(figures[f"{n} drafts"][measure] for measure in measures)) for n in (1, 16)])


def _loops(figures: Any) -> Iterator[str]:
    length, seeds = figures["tokens"], figures["seeds"]
    yield f"The share of 4-grams that occurred before, in {length:,} tokens for each of {seeds} seeds.\n"
    head = ("voice", "in the whole text", "in the last 512 tokens", "longest stretch that occurs twice, tokens")
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
