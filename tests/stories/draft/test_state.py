"""A draft's state: what is durable comes back, when a tick is due, and how many tokens an epoch may generate."""

from __future__ import annotations

import json
from dataclasses import replace
from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from stories.draft.state import (
    IDLE_LEASE_SECONDS,
    LEASE_SECONDS,
    DraftSettings,
    Lease,
    Run,
    new_head,
    restore,
)
from stories.limits import NO_VIEWER_SECONDS, UNSEEN_TOKENS
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


UNSEEN = st.lists(st.integers(1, 300), max_size=5)


@given(st.none() | st.integers(1, 1000), st.integers(0, 2000), UNSEEN, st.floats(0, 2), st.booleans())
def test_a_grant_is_the_least_of_limit_and_credit_and_none_while_held(
    limit: int | None, made: int, unseen: list[int], held_until: float, is_dormant: bool
) -> None:
    state = replace(
        new_state("Once"),
        run=Run(limit, 0, 1),
        dormant=is_dormant,
        made=made,
        unseen=tuple(enumerate(unseen, 1)),
        held_until=held_until,
    )
    granted = state.grant(1.0).granted
    if is_dormant:
        assert granted == 0
    elif held_until > 1.0:
        assert granted == made
    else:
        credit = max(0, UNSEEN_TOKENS - sum(unseen))
        assert granted == made + (credit if limit is None else min(limit, credit))
    assert replace(state, run=None).grant(1.0).granted == 0


@given(UNSEEN, st.integers(0, 6))
def test_seen_revisions_no_longer_count(unseen: list[int], revision: int) -> None:
    state = replace(new_state(), unseen=tuple(enumerate(unseen, 1))).see(revision)
    assert state.unseen_tokens == sum(unseen[revision:])


def test_a_lease_is_renewed_while_the_page_composes_and_expires_when_idle() -> None:
    state = new_state("Once")
    for step in range(int(IDLE_LEASE_SECONDS / 0.5)):
        state = state.hold("page", step * 0.5)
        assert state.is_held(step * 0.5 + 0.9)
    now = IDLE_LEASE_SECONDS
    state = state.hold("page", now)
    assert not state.is_held(now + LEASE_SECONDS), "an idle composition holds no longer"
    state = state.extend_lease("page", now)
    state = state.hold("page", now + 0.5)
    assert state.is_held(now + 1.2), "an edit makes it active again"
    assert not state.without_lease("page").leases
    assert not replace(state, held_until=now + 9).release_holds().is_held(now)
    assert new_state().extend_lease("page", 1.0) == new_state(), "a page without a lease gets none"


def test_a_new_epoch_makes_output_under_way_stale() -> None:
    state = replace(new_state("Once"), run=Run(None, 9, 1), made=5, granted=20, base=2)
    after = state.new_epoch(1.0)
    assert (after.epoch, after.made, after.granted, after.sent_base) == (state.epoch + 1, 0, UNSEEN_TOKENS, 2)
