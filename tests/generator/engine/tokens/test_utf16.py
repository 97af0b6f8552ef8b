"""UTF-16: lengths and cuts of a text are those of its encoding."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.engine.tokens.utf16 import Utf16Text, units

TEXT = st.text(st.sampled_from("a é\n’字🌊🌙"), max_size=30) | st.text(st.characters(codec="utf-8"), max_size=30)


@given(TEXT)
def test_a_character_has_one_unit_or_two_beyond_the_basic_plane(text: str) -> None:
    assert units(text) == sum(2 if ord(character) > 0xFFFF else 1 for character in text)


@given(TEXT, TEXT, TEXT)
def test_a_cut_between_characters_returns_the_text_between(before: str, middle: str, after: str) -> None:
    start = units(before)
    assert Utf16Text(before + middle + after).cut(start, start + units(middle)) == middle


def test_a_cut_inside_a_character_keeps_the_surrogate_or_replaces_it() -> None:
    text = Utf16Text("a🌊b")
    assert text.cut(0, 2) == "a\ud83c"
    assert text.cut(0, 2, errors="replace") == "a\ufffd"
    with pytest.raises(UnicodeDecodeError):
        text.cut(2, 4, errors="strict")
