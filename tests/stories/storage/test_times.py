"""Times: against a list with one time per unit, kept by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stories.storage.records import HistoryRow
from stories.storage.times import Times
from stories.text.changes import ChangeSet
from tests.stories.strategies import changes_to, texts


def row(revision: int, at: float, changes: ChangeSet) -> HistoryRow:
    return HistoryRow(revision, "user", "page", changes.inserted, 0, at, changes)


@given(st.data())
def test_every_unit_has_the_minute_of_the_update_that_inserted_it(data: st.DataObject) -> None:
    text = data.draw(texts())
    minutes: list[int | None] = [None] * len(text)
    times, rows, at = Times.of_beginning(len(text)), [], 1_000_000
    for revision in range(1, data.draw(st.integers(0, 8)) + 1):
        at += data.draw(st.integers(0, 90))
        changes = data.draw(changes_to(text))
        old = 0
        after: list[int | None] = []
        for length, insert in changes.sections:
            after += minutes[old : old + length] if insert is None else [at - at % 60] * len(insert)
            old += length
        minutes, text = after, changes.apply(text)
        rows.append(row(revision, at + 0.5, changes))
    cut = data.draw(st.integers(0, len(rows)))
    times = times.after(rows[:cut]).after(rows[cut:])
    assert times.revision == len(rows)
    assert [minute for length, minute in times.runs for _ in range(length)] == minutes
    assert all(one[1] != next_[1] for one, next_ in zip(times.runs, times.runs[1:], strict=False))
