"""JSON codec: dataclasses survive their JSON form, and data that does not fit the annotations is refused."""

from __future__ import annotations

import json
from array import array
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.wire.json_codec import MalformedMessage, from_json, to_json

INT32 = st.integers(-(2**31), 2**31 - 1)


@dataclass(frozen=True, slots=True)
class Part:
    name: str
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Whole:
    """One field for each kind of annotation that messages use."""

    flag: bool
    numbers: tuple[int, ...]
    parts: tuple[Part, ...]
    pairs: tuple[tuple[str, float], ...]
    part: Part | None
    count: int | None = None
    words: tuple[str, ...] = ()


PARTS = st.builds(Part, st.text(), st.floats(allow_nan=False, allow_infinity=False))
WHOLES = st.builds(
    Whole,
    flag=st.booleans(),
    numbers=st.lists(INT32).map(tuple),
    parts=st.lists(PARTS, max_size=3).map(tuple),
    pairs=st.lists(st.tuples(st.text(), st.floats(-1, 1)), max_size=3).map(tuple),
    part=st.none() | PARTS,
    count=st.none() | st.integers(),
    words=st.lists(st.text(), max_size=3).map(tuple),
)
SMALL: dict[str, Any] = {"flag": True, "numbers": "", "parts": [], "pairs": [], "part": None}


def as_sent(whole: Whole) -> Any:
    """Return the JSON form as the other process reads it."""
    return json.loads(json.dumps(to_json(whole)))


@given(WHOLES)
def test_a_dataclass_survives_its_json_form(whole: Whole) -> None:
    assert from_json(Whole, as_sent(whole)) == whole


def test_the_json_form_of_each_annotation() -> None:
    whole = Whole(False, (1, -1), (Part("a"), Part("b", 0.5)), (("c", 0.25),), Part("d"), 7, ("e",))
    assert as_sent(whole) == {
        "flag": False,
        "numbers": b64encode(array("i", [1, -1]).tobytes()).decode(),
        "parts": [{"name": "a"}, {"name": "b", "weight": 0.5}],
        "pairs": [["c", 0.25]],
        "part": {"name": "d"},
        "count": 7,
        "words": ["e"],
    }


def test_fields_with_their_default_may_be_missing() -> None:
    whole = Whole(True, (), (), (), None)
    assert as_sent(whole) == SMALL
    assert from_json(Whole, SMALL) == whole


def test_a_whole_number_is_accepted_as_a_float_and_becomes_one() -> None:
    part = from_json(Part, {"name": "a", "weight": 2})
    assert (part, type(part.weight)) == (Part("a", 2.0), float)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"flag": 1}, "A value is of type int, not bool."),
        ({"count": True}, "A value is of type bool, not int."),
        ({"count": 1.0}, "A value is of type float, not int."),
        ({"words": [b""]}, "A value is of type bytes, not str."),
        ({"words": "ab"}, "The data has no list where a list is expected."),
        ({"pairs": {}}, "The data has no list where a list is expected."),
        ({"pairs": [{}]}, "The data has no list where a list is expected."),
        ({"pairs": [["a"]]}, "A list has the wrong length."),
        ({"pairs": [["a", 1.0, 1.0]]}, "A list has the wrong length."),
        ({"part": []}, "Part is not an object."),
        ({"part": {"name": "a", "size": 1}}, "Part has unknown fields."),
        ({"part": {}}, "Part lacks a field."),
        ({"numbers": [1]}, "A column of numbers is not base64 of 4-byte integers."),
        ({"numbers": "AAAA"}, "A column of numbers is not base64 of 4-byte integers."),
        ({"numbers": "AQ AAAA=="}, "A column of numbers is not base64 of 4-byte integers."),
        ({"numbers": "é"}, "A column of numbers is not base64 of 4-byte integers."),
    ],
)
def test_data_that_does_not_fit_an_annotation_is_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(MalformedMessage) as refusal:
        from_json(Whole, {**SMALL, **changes})
    assert str(refusal.value) == sentence


@given(st.text(min_size=5))
def test_a_refusal_does_not_contain_the_value(text: str) -> None:
    with pytest.raises(MalformedMessage) as refusal:
        from_json(Whole, {**SMALL, "count": text})
    assert str(refusal.value) == "A value is of type str, not int."
