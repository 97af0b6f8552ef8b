"""Units form, against Python's own UTF-16 codec."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stories.text.utf16 import from_units, is_clean, splits_pair, to_units

proper_texts = st.text(st.characters(codec="utf-8"))


@given(proper_texts)
def test_units_have_the_length_of_utf16_and_convert_back(text: str) -> None:
    units = to_units(text)
    assert len(units) == len(text.encode("utf-16-le")) // 2
    assert from_units(units) == text
    assert to_units(units) == units
    assert json.loads(json.dumps(units)) == text


@given(st.text(st.sampled_from("a\0\r\n\ud83d\ude00\udfff中"), max_size=6))
def test_text_is_clean_if_utf8_can_encode_it_and_an_editor_keeps_it(units: str) -> None:
    try:
        from_units(units).encode("utf-8")
        encodable = True
    except UnicodeError:
        encodable = False
    assert is_clean(units) == (encodable and "\0" not in units and "\r" not in units)


def test_text_with_astral_characters_is_clean_only_in_units_form() -> None:
    assert not is_clean("😀")
    assert is_clean(to_units("😀"))


@given(proper_texts, st.integers(-1, 9))
def test_an_offset_splits_a_pair_if_the_halves_are_not_text(text: str, at: int) -> None:
    units = to_units(text)
    inside = 0 <= at <= len(units)
    assert splits_pair(units, at) == (inside and not (is_text(units[:at]) and is_text(units[at:])))


def is_text(units: str) -> bool:
    try:
        from_units(units)
    except UnicodeError:
        return False
    return True


def test_a_lone_surrogate_cannot_be_converted_back() -> None:
    with pytest.raises(UnicodeDecodeError):
        from_units("a\ud83d")
