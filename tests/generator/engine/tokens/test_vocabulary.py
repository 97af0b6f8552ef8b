"""Tokens of a text: how much of it each one covers."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from generator.engine.networks.fake import fake_vocabulary
from generator.engine.tokens.vocabulary import units

VOCABULARY = fake_vocabulary()
WRITTEN = st.text(st.sampled_from("a the\né—’字🌊🌙"), max_size=30) | st.text(st.characters(codec="utf-8"), max_size=30)


@given(WRITTEN)
def test_a_character_counts_for_the_token_that_ends_it(text: str) -> None:
    tokens = VOCABULARY.tokenize(text)
    written = [VOCABULARY.token_bytes[token_id] for token_id in tokens.ids]
    assert b"".join(written) == text.encode()
    whole = [units(so_far.decode(errors="ignore")) for so_far in accumulate(written)]
    assert list(accumulate(tokens.lengths)) == whole


def test_only_where_an_end_is_allowed_the_end_tokens_are_not_blocked() -> None:
    assert set(VOCABULARY.blocked_ids.tolist()) == {i for i in range(VOCABULARY.size) if VOCABULARY.blocked[i]}
    assert set(VOCABULARY.blocked_but_ends.tolist()) == set(VOCABULARY.blocked_ids.tolist()) - VOCABULARY.end_ids
    assert set(VOCABULARY.blocked_ids.tolist()) >= VOCABULARY.end_ids
