"""Times: the minute in which each unit of a text was written.

Owns how times follow a text through its log. Times are computed from the log and not stored. Knows nothing of authors
or SQL. Lengths are UTF-16 units.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stories.storage.records import HistoryRow
from stories.text.sections import Section

MINUTE = 60

# Length in units, and seconds since 1970, or None for the text that the draft began with.
Run = tuple[int, int | None]


@dataclass(frozen=True, slots=True)
class Times:
    """The times of a draft's whole text at `revision`. Neighbours of the same minute are one run."""

    revision: int
    runs: tuple[Run, ...]

    @classmethod
    def of_beginning(cls, length: int) -> Times:
        """Return the times at revision 0 of a draft that began with `length` units."""
        return cls(0, ((length, None),) if length else ())

    def after(self, rows: Iterable[HistoryRow]) -> Times:
        """Return the times after the updates in `rows`, which follow this revision."""
        revision, runs = self.revision, list(self.runs)
        for row in rows:
            revision = row.revision
            _apply(runs, row.changes.sections, int(row.at) // MINUTE * MINUTE)
        return Times(revision, tuple(runs))


def _apply(runs: list[Run], sections: tuple[Section, ...], at: int) -> None:
    """Apply a change to `runs` in place.

    Works backwards from the end to the first change, so that the text before it, usually most of the text, costs
    nothing.
    """
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
    """Remove `length` units from the end of `runs`. Return them, last run first."""
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
    """Append `run`, joined with the last run if both are of the same minute."""
    if runs and runs[-1][1] == run[1]:
        run = (runs.pop()[0] + run[0], run[1])
    runs.append(run)
