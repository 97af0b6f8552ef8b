"""Detokenizer: any bytes become the text that they decode to, one complete character at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from generator.engine.tokens.detokenizer import Detokenizer

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@given(TEXT)
def test_a_text_is_returned_character_by_character(text: str) -> None:
    detokenizer = Detokenizer()
    parts = [detokenizer.feed(bytes([byte])) for byte in text.encode()]
    assert "".join(parts) == text
    assert all(len(part) <= 1 for part in parts)
    assert not detokenizer.is_inside_character


@given(st.lists(st.binary(max_size=6), max_size=20))
def test_any_byte_strings_become_the_text_that_they_decode_to_together(tokens: list[bytes]) -> None:
    detokenizer = Detokenizer()
    text = "".join(detokenizer.feed(token) for token in tokens)
    is_unfinished = detokenizer.is_inside_character
    rest = detokenizer.finish()
    assert text + rest == b"".join(tokens).decode("utf-8", "replace")
    assert bool(rest) == is_unfinished


def test_a_finished_detokenizer_begins_a_new_text() -> None:
    detokenizer = Detokenizer()
    assert detokenizer.feed("🌊".encode()[:3]) == ""
    assert detokenizer.finish() == "\ufffd"
    assert not detokenizer.is_inside_character
    assert detokenizer.feed(b"a") == "a"
