"""A draft's state: what is durable comes back, and when a tick is due."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from stories.draft.state import DraftSettings, Lease, Run, new_head, restore
from stories.limits import NO_VIEWER_SECONDS
from stories.text.span_list import SpanList
from stories.text.update import USER
from tests.stories.writers import new_state

RUNS = st.none() | st.builds(Run, st.none() | st.integers(1, 9), st.integers(0, 9), st.integers(0, 2**53 - 1))


@given(RUNS, st.integers(0, 99), st.integers(0, 9), st.none() | st.text(max_size=3), st.sets(st.text(max_size=3)))
def test_a_head_brings_the_durable_fields_back(
    run: Run | None, epoch: int, base: int, premise: str | None, authors: set[str]
) -> None:
    settings = DraftSettings("Fake", {"top_k": 5, "banned_words": ["sea"]}, premise)
    state = replace(
        new_state("Once upon"), run=run, epoch=epoch, base=base, settings=settings, authors=frozenset(authors)
    )
    head = json.loads(json.dumps(state.head()))
    again = restore("draft", 0, state.text, state.spans, head)
    assert again.head() == state.head()
    assert (again.run, again.epoch, again.base, again.authors) == (run, epoch, base, frozenset(authors))
    assert again.dormant == (run is not None), "an interrupted run waits for a page"
    assert not again.is_writing


def test_a_new_draft_knows_the_authors_of_its_text() -> None:
    spans = SpanList.of_runs([(4, USER), (3, "model:Fake")])
    assert new_head(DraftSettings("Fake", {}, None), spans)["authors"] == ["model:Fake", USER]


def test_a_tick_is_due_when_the_first_hold_lease_or_wait_ends() -> None:
    leases = MappingProxyType({"page": Lease(5.0, 1.0, 1.0)})
    state = replace(new_state(), run=Run(None, 0, 1), held_until=3.0, leases=leases, viewers=frozenset({"page"}))
    assert state.deadline(1.0) == 3.0
    assert state.deadline(3.0) == 5.0
    assert state.deadline(5.0) is None
    assert replace(state, viewers=frozenset(), alone_since=1.0).deadline(5.0) == 1.0 + NO_VIEWER_SECONDS
    assert replace(state, run=None).deadline(1.0) is None


def test_news_is_what_a_viewed_event_would_change() -> None:
    state = replace(new_state(), viewers=frozenset({"page"}), unseen=((3, 10), (5, 10)))
    assert state.would_notice("page", 3)
    assert not state.would_notice("page", 2)
    assert state.would_notice("another", 2)
    assert replace(state, dormant=True).would_notice("page", 2)
