"""Model text that comes in pieces is the same event as text that comes at once."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce as fold

from hypothesis import given
from hypothesis import strategies as st

from stories.draft.events import Start, Wrote
from stories.draft.reducer import reduce
from stories.text.update import Token
from tests.stories.writers import new_state


@given(st.lists(st.text("abc", min_size=1, max_size=4), min_size=1, max_size=6))
def test_joined_text_leads_to_the_state_that_its_pieces_lead_to(pieces: list[str]) -> None:
    state = reduce(new_state("Once"), Start(None, 1, 0.0)).state
    events = [Wrote(state.epoch, text, tuple(Token(1, 1, -1.0) for _ in text), "t") for text in pieces]
    apart = state
    for event in events:
        apart = reduce(apart, event).state
    together = reduce(state, fold(Wrote.joined, events)).state
    assert (together.text, together.spans, together.made) == (apart.text, apart.spans, apart.made)
    assert together.run == apart.run
    assert together.unseen_tokens == apart.unseen_tokens
    assert replace(together, revision=0, unseen=()) == replace(apart, revision=0, unseen=())
