"""Credit: no token beyond limit, viewers or holds."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stories.draft.credit import (
    IDLE_LEASE_SECONDS,
    LEASE_SECONDS,
    extend_lease,
    grant,
    hold,
    new_epoch,
    release_holds,
    see,
    without_lease,
)
from stories.draft.events import Hold
from stories.draft.state import Run
from stories.limits import UNSEEN_TOKENS
from tests.stories.writers import new_state

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
    granted = grant(state, 1.0).granted
    if is_dormant:
        assert granted == 0
    elif held_until > 1.0:
        assert granted == made
    else:
        credit = max(0, UNSEEN_TOKENS - sum(unseen))
        assert granted == made + (credit if limit is None else min(limit, credit))
    assert grant(replace(state, run=None), 1.0).granted == 0


@given(UNSEEN, st.integers(0, 6))
def test_seen_revisions_no_longer_count(unseen: list[int], revision: int) -> None:
    state = see(replace(new_state(), unseen=tuple(enumerate(unseen, 1))), revision)
    assert state.unseen_tokens == sum(unseen[revision:])


def test_a_lease_is_renewed_while_the_page_composes_and_expires_when_idle() -> None:
    state = new_state("Once")
    for step in range(int(IDLE_LEASE_SECONDS / 0.5)):
        state = hold(state, Hold("page", True, step * 0.5))
        assert state.is_held(step * 0.5 + 0.9)
    now = IDLE_LEASE_SECONDS
    state = hold(state, Hold("page", True, now))
    assert not state.is_held(now + LEASE_SECONDS), "an idle composition holds no longer"
    state = extend_lease(state, "page", now)
    state = hold(state, Hold("page", True, now + 0.5))
    assert state.is_held(now + 1.2), "an edit makes it active again"
    assert not without_lease(state, "page").leases
    assert not release_holds(replace(state, held_until=now + 9)).is_held(now)
    assert extend_lease(new_state(), "page", 1.0) == new_state(), "a page without a lease gets none"


def test_a_new_epoch_makes_output_under_way_stale() -> None:
    state = replace(new_state("Once"), run=Run(None, 9, 1), made=5, granted=20, base=2)
    after = new_epoch(state, 1.0)
    assert (after.epoch, after.made, after.granted, after.sent_base) == (state.epoch + 1, 0, UNSEEN_TOKENS, 2)
