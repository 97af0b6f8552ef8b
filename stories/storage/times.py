"""Times: when each unit of a text came to stand there, to the minute.

Owns how times follow a text through its log, from which they are made: they are stored nowhere. Knows nothing of
authors and storage. Lengths are UTF-16 units.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stories.storage.records import HistoryRow
from stories.text.sections import Section

MINUTE = 60

# Length, and seconds since 1970; None: it stood there from the draft's beginning.
Run = tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a draft's whole text at `revision`; neighbours of one minute are one run."""

    revision: int
    runs: tuple[Run, ...]

    @classmethod
    def of_beginning(cls, length: int) -> Times:
        return cls(0, ((length, None),) if length else ())

    def after(self, rows: Iterable[HistoryRow]) -> Times:
        """The times after the updates in `rows`, which follow this revision."""
        revision, runs = self.revision, list(self.runs)
        for row in rows:
            revision = row.revision
            _change(runs, row.changes.sections, int(row.at) // MINUTE * MINUTE)
        return Times(revision, tuple(runs))


def _change(runs: list[Run], sections: tuple[Section, ...], at: int) -> None:
    """From the end backwards, up to the first change: what stands before it, mostly all there is, isn't touched."""
    later: list[Run] = []
    first = 1 if sections and sections[0][1] is None else 0
    for length, insert in reversed(sections[first:]):
        moved = _cut(runs, length)
        if insert is None:
            later += moved
        elif insert:
            later.append((len(insert), at))
    for run in reversed(later):
        _append(runs, run)


def _cut(runs: list[Run], length: int) -> list[Run]:
    """Takes `length` units off the end; answers them, the last run first."""
    cut = []
    while length:
        units, at = runs.pop()
        taken = min(units, length)
        if taken < units:
            runs.append((units - taken, at))
        cut.append((taken, at))
        length -= taken
    return cut


def _append(runs: list[Run], run: Run) -> None:
    if runs and runs[-1][1] == run[1]:
        run = (runs.pop()[0] + run[0], run[1])
    runs.append(run)
