"""Vocabulary: the tokens of a text, their lengths, and the tokens with special rules."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from generator.engine.networks.fake import fake_vocabulary
from generator.engine.tokens.detokenizer import Detokenizer
from generator.engine.tokens.utf16 import units
from generator.engine.tokens.vocabulary import CHARACTER, INSIDE, WORD, Vocabulary
from tests.generator.engine.tiny_models import tiny_vocabulary

FAKE, TINY = fake_vocabulary(), tiny_vocabulary()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)
MIXED = st.text(st.sampled_from("a the\né—’字🌊🌙"), max_size=30) | TEXT


@given(MIXED)
def test_a_character_counts_for_the_token_that_completes_it(text: str) -> None:
    tokens = FAKE.tokenize(text)
    written = [FAKE.token_bytes[token_id] for token_id in tokens.ids]
    assert b"".join(written) == text.encode()
    whole = [units(so_far.decode(errors="ignore")) for so_far in accumulate(written)]
    assert list(accumulate(tokens.lengths)) == whole


@given(TEXT, st.sampled_from([FAKE, TINY]))
def test_lengths_are_those_of_the_detokenized_text(text: str, vocabulary: Vocabulary) -> None:
    tokens = vocabulary.tokenize(text)
    detokenizer = Detokenizer()
    assert tokens.lengths == [units(detokenizer.feed(vocabulary.token_bytes[i])) for i in tokens.ids]
    assert b"".join(vocabulary.token_bytes[i] for i in tokens.ids).decode() == text


@given(TEXT)
def test_the_lengths_of_a_normalizing_tokenizer_cover_the_original_text(text: str) -> None:
    lowercase = replace(FAKE, encode=lambda text: _encode_characters(text.lower() if text.isascii() else text))
    tokens = lowercase.tokenize(text)
    assert sum(tokens.lengths) == (units(text) if tokens.ids else 0)
    assert all(length >= 0 for length in tokens.lengths)


def _encode_characters(text: str) -> tuple[list[int], list[int]]:
    """Encode only ASCII characters, one token each, with the index at which each one ends."""
    found = [(ord(character), index + 1) for index, character in enumerate(text) if character.isascii()]
    return [token_id for token_id, _ in found], [end for _, end in found]


@given(TEXT, TEXT)
def test_a_text_never_becomes_a_special_token(before: str, after: str) -> None:
    for special, special_id in TINY.special.items():
        assert special_id not in TINY.tokenize(before + special + after).ids
        ids = TINY.tokenize_template(special + "{prompt}", before + special + after)
        assert ids.count(special_id) == 1
        assert ids[0] == special_id


def test_end_tokens_are_blocked_except_where_an_end_is_allowed() -> None:
    assert set(FAKE.blocked_ids.tolist()) == {i for i in range(FAKE.size) if FAKE.blocked[i]}
    assert set(FAKE.blocked_except_ends.tolist()) == set(FAKE.blocked_ids.tolist()) - FAKE.end_ids
    assert set(FAKE.blocked_ids.tolist()) >= FAKE.end_ids


def test_a_model_must_not_write_carriage_returns_nulls_or_special_tokens() -> None:
    for token_id, written in enumerate(TINY.token_bytes):
        is_special = token_id in {*TINY.special.values(), *TINY.end_ids}
        assert TINY.blocked[token_id] == (not written or b"\r" in written or b"\0" in written or is_special)


def test_a_token_starts_at_a_word_at_a_character_or_inside_a_character() -> None:
    starts = {written: FAKE.starts[token_id] for token_id, written in enumerate(FAKE.token_bytes)}
    assert [starts[written] for written in (b" ", b"\n")] == [WORD, WORD]
    assert [starts[written] for written in (b"a", b"\xf0")] == [CHARACTER, CHARACTER]
    assert [starts[written] for written in (b"\x9f", b"\xbf")] == [INSIDE, INSIDE]


def test_new_lines_colons_quotes_and_asterisks_break_a_repetition() -> None:
    breaking = {written for token_id, written in enumerate(FAKE.token_bytes) if FAKE.breakers[token_id]}
    assert {written for written in breaking if len(written) == 1} == {b"\n", b":", b'"', b"*"}
