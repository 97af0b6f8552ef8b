"""Recent updates against the whole log: the same updates from memory and store, within the limits."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.drafts.recent_updates import RecentUpdates
from stories import limits
from stories.errors import Behind, TooLong
from stories.text.changes import ChangeSet
from stories.text.update import USER, Update


class WholeLog:
    """A log in which update number n inserts `sizes[n]` letters."""

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
def test_the_end_of_the_log_is_the_same_wherever_it_is_kept(
    sizes: list[int], batches: list[int], data: st.DataObject
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "RECENT_UPDATES", 12)
        patch.setattr(limits, "RECENT_UNITS", 100)
        patch.setattr(limits, "BEHIND_UPDATES", 40)
        patch.setattr(limits, "BEHIND_UNITS", 300)
        log = WholeLog(sizes)
        recent, head = RecentUpdates(log.stored), 0
        for batch in batches:
            recent.extend(log.updates[head : head + batch])
            head = min(head + batch, len(sizes))
            recent.trim()
            assert len(recent._recent) <= 12
            assert sum(update.changes.inserted for update in recent._recent) <= 100
            revision = data.draw(st.integers(0, head))
            is_near = len(recent._recent) >= head - revision or sum(sizes[revision:head]) <= 300
            if is_near and head - revision <= 40:
                assert recent.since(revision, head) == tuple(log.updates[revision:head])
            else:
                with pytest.raises(Behind):
                    recent.since(revision, head)


def test_recent_updates_need_no_store() -> None:
    log = WholeLog([1] * 50)
    recent = RecentUpdates(log.stored)
    recent.extend(log.updates)
    assert recent.since(0, 50) == tuple(log.updates)
    assert log.asked == 0


def test_a_revision_beyond_the_head_is_refused() -> None:
    with pytest.raises(Behind):
        RecentUpdates(WholeLog([1] * 50).stored).since(51, 50)
