"""The end of a log against the whole of it: the same updates from memory and store, within the bounds."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.drafts import recent_updates as log_tail
from generator.drafts.recent_updates import RecentUpdates
from stories.errors import Refused, TooLong
from stories.text.changes import ChangeSet
from stories.text.update import USER, Update


class WholeLog:
    """A log in which update number n inserts so many letters as `sizes` says."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self.updates: list[Update] = []
        length = 0
        for size in sizes:
            self.updates.append(Update("page", USER, ChangeSet.insert(length, 0, "x" * size)))
            length += size
        self.asked = 0

    def stored(self, start: int, end: int, at_most: int) -> list[Update]:
        self.asked += 1
        wanted = self.updates[start:end]
        if sum(update.changes.inserted for update in wanted) > at_most:
            raise TooLong("too long")
        return wanted


@given(st.lists(st.integers(1, 30), max_size=60), st.lists(st.integers(1, 9), max_size=20), st.data())
def test_it_is_the_logs_end_whatever_is_in_memory(sizes: list[int], batches: list[int], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(log_tail, "RECENT_UPDATES", 12)
        patch.setattr(log_tail, "RECENT_UNITS", 100)
        patch.setattr(log_tail, "MAX_BEHIND", 40)
        patch.setattr(log_tail, "MAX_BEHIND_UNITS", 300)
        log = WholeLog(sizes)
        tail, head = RecentUpdates(log.stored), 0
        for batch in batches:
            tail.extend(log.updates[head : head + batch])
            head = min(head + batch, len(sizes))
            tail.trim()
            assert len(tail._recent) <= 12
            assert sum(update.changes.inserted for update in tail._recent) <= 100
            revision = data.draw(st.integers(0, head))
            is_near = len(tail._recent) >= head - revision or sum(sizes[revision:head]) <= 300
            if is_near and head - revision <= 40:
                assert tail.since(revision, head) == tuple(log.updates[revision:head])
            else:
                with pytest.raises(Refused, match="too far behind"):
                    tail.since(revision, head)


def test_recent_updates_need_no_store() -> None:
    log = WholeLog([1] * 50)
    tail = RecentUpdates(log.stored)
    tail.extend(log.updates)
    assert tail.since(0, 50) == tuple(log.updates)
    assert log.asked == 0


def test_a_revision_that_is_not_there_is_refused() -> None:
    with pytest.raises(Refused, match="too far behind"):
        RecentUpdates(WholeLog([1] * 50).stored).since(51, 50)
