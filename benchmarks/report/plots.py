"""Pictures of the measurements: docs/performance/PART.svg. Needs benchmarks/requirements.txt.

The same figures give the same file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.report.labels import label
from benchmarks.rig.record import FOLDER, Record

_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "storygen",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw(record: Record) -> None:
    """Draw the pictures of all parts in the record."""
    FOLDER.mkdir(exist_ok=True)
    with plt.rc_context(_STYLE):
        for part, draw_part in _PICTURES.items():
            if part in record:
                panels, draw_panel = draw_part(record[part]["figures"])
                _save(part, panels, draw_panel)


def _save(part: str, panels: dict[str, Any], draw_panel: Callable[[Axes, Any], None]) -> None:
    rows = -(-len(panels) // 2)
    figure, grid = plt.subplots(rows, 2, figsize=(10, 3.2 * rows), squeeze=False, layout="constrained")
    for axes, (title, found) in zip(grid.flat, panels.items(), strict=False):
        axes.set_title(label(title))
        draw_panel(axes, found)
    figure.savefig(FOLDER / f"{part}.svg", metadata={"Date": None})
    plt.close(figure)


_Picture = tuple[dict[str, Any], Callable[[Axes, Any], None]]


def _forward(figures: Any) -> _Picture:
    return figures["tokens_per_second"], _draw_rates


def _draw_rates(axes: Axes, rates: dict[str, float]) -> None:
    """Bars by number of streams, after 64 tokens; a line for `transformers.generate`, which writes one text."""
    streams = (1, 4, 16, 32)
    for number, program in enumerate(("llama.cpp", "fp32", "int8")):
        names = {n: f"{program}, {n} streams, 64 tokens before" for n in streams}
        found = {place: rates[names[n]] for place, n in enumerate(streams) if names[n] in rates}
        if found:
            axes.bar([place + 0.27 * (number - 1) for place in found], list(found.values()), 0.25, label=program)
    axes.axhline(rates["transformers.generate, 64 tokens before"], color="black", label="transformers.generate")
    axes.set_xticks(range(len(streams)), [str(n) for n in streams])
    axes.set_xlabel("streams")
    axes.set_ylabel("tokens per second")
    axes.legend(frameon=False)


def _gaps(figures: Any) -> _Picture:
    return figures, _draw_gaps


def _draw_gaps(axes: Axes, found: dict[str, Any]) -> None:
    size = found["bucket_tokens"]
    places = [place * size for place in range(len(found["buckets_ms"]))]
    for column, name in enumerate(("median", f"largest of each {size} tokens")):
        axes.plot(places, [bucket[column] for bucket in found["buckets_ms"]], label=name)
    axes.set_ylim(0)
    axes.set_xlabel("tokens written")
    axes.set_ylabel("gap, ms")
    axes.legend(frameon=False)


def _reaction(figures: Any) -> _Picture:
    return figures, _draw_reaction


def _draw_reaction(axes: Axes, found: dict[str, Any]) -> None:
    kinds = {kind: row for kind, row in found["edits"].items() if "no hold" not in kind and kind != "recompute"}
    for number, measure in enumerate(("p50", "p95")):
        places = [place + 0.32 * (number - 0.5) for place in range(len(kinds))]
        axes.bar(places, [row[f"{measure}_steps"] for row in kinds.values()], 0.3, label=measure)
    axes.set_xticks(range(len(kinds)), [kind.partition(" ")[0] for kind in kinds])
    axes.set_xlabel("tokens from the end of the window")
    axes.set_ylabel("steps after the hold")
    axes.legend(frameon=False)


_PICTURES: dict[str, Callable[[Any], _Picture]] = {
    "forward": _forward,
    "reaction": _reaction,
    "gaps": _gaps,
    "endless": _gaps,
}
