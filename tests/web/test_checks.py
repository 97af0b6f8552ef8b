"""Checks of single values: an accepted value is within the words of its check, a refused one names its field."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from generator.wire.sampling_params import RANGES
from stories import limits
from stories.errors import Refused
from stories.text.changes import ChangeSet
from web import checks
from web.checks import Check

FIELD = "the_field"
characters = st.characters() | st.sampled_from("\0\r\n\t\x7f\x85\ud83d\udc22\ud800é🐢")
texts = st.text(characters, max_size=80)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.binary(max_size=4)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)
nearly_hexadecimal = st.builds(
    lambda digits, last: digits + last,
    st.text("0123456789abcdef", min_size=30, max_size=32),
    st.sampled_from(["", "0", "f", "F", "g", "\n", "٣"]),
)
nearly_whole = st.integers(-1, 40) | st.booleans() | st.floats(-1, 40).map(round).map(float)


def attempt(check: Check, value: object) -> tuple[Any, Refused | None]:
    try:
        return check.parse(value, FIELD), None
    except Refused as refused:
        return None, refused


def parsed(check: Check, value: object) -> tuple[Any, Refused | None]:
    """Return the parsed value, or the refusal, which must name the field and be a printable sentence."""
    result, refused = attempt(check, value)
    if refused is not None:
        assert FIELD in refused.message
        assert refused.message.endswith(".")
        assert refused.message.isprintable()
    return result, refused


def is_accepted(check: Check, value: object) -> bool:
    return parsed(check, value)[1] is None


def is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def joined(value: str) -> str | None:
    """The text with surrogate pairs joined; None where a half remains."""
    try:
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        return None


@given(value=anything | nearly_whole, low=st.integers(0, 1), size=st.integers(0, 30))
def test_a_whole_number_is_an_integer_in_its_range(value: object, low: int, size: int) -> None:
    check = checks.whole(low, low + size)
    assert check.words == f"whole number from {low} to {low + size}"
    assert is_accepted(check, value) == (is_whole(value) and low <= value <= low + size)  # type: ignore[operator]


@given(st.integers(-3, 40))
def test_each_number_near_a_range_is_accepted_exactly_within_it(number: int) -> None:
    assert is_accepted(checks.whole(1, 32), number) == (1 <= number <= 32)
    assert not is_accepted(checks.whole(1, 32), float(number))


@pytest.mark.parametrize(("number", "accepted"), [(2**53 - 1, True), (2**53, False), (-1, False), (0, True)])
def test_a_count_is_an_integer_that_javascript_can_hold(number: int, accepted: bool) -> None:
    assert is_accepted(checks.COUNT, number) == accepted


@given(value=anything | st.text("aZ9_-.é", max_size=70))
def test_an_id_is_16_to_64_characters_of_its_alphabet(value: object) -> None:
    alphabet = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")
    expected = isinstance(value, str) and 16 <= len(value) <= 64 and set(value) <= alphabet
    assert is_accepted(checks.ID, value) == expected


@given(
    value=anything
    | nearly_hexadecimal
    | st.from_regex(r"[0-9a-f]{32}\n?", fullmatch=True)
    | st.sampled_from(["server", "model"])
)
@example("f" * 32)
@example("F" * 32)
@example("f" * 31 + "\n")
def test_a_client_is_32_hexadecimal_digits_in_lower_case(value: object) -> None:
    expected = isinstance(value, str) and len(value) == 32 and set(value) <= set("0123456789abcdef")
    assert is_accepted(checks.CLIENT, value) == expected


@given(anything)
def test_a_flag_is_true_or_false(value: object) -> None:
    assert is_accepted(checks.FLAG, value) == (value is True or value is False)


@given(value=anything | texts, kib=st.integers(0, 1))
def test_text_is_clean_and_within_its_bytes(value: object, kib: int) -> None:
    result, refused = parsed(checks.text(kib * 1024), value)
    whole = joined(value) if isinstance(value, str) else None
    if whole is None or "\0" in whole or "\r" in whole:
        assert refused is not None
        assert refused.code == "invalid"
    elif len(whole.encode()) > kib * 1024:
        assert refused is not None
        assert refused.code == "too_large"
    else:
        assert result == whole


@pytest.mark.parametrize(("character", "size"), [("x", 1), ("é", 2), ("🐢", 4)])
def test_the_limit_of_a_text_counts_bytes_of_utf_8(character: str, size: int) -> None:
    check = checks.text(4096)
    assert is_accepted(check, character * (4096 // size))
    assert not is_accepted(check, character * (4096 // size + 1))


@given(value=anything | texts, limit=st.integers(1, 20))
def test_a_line_has_no_control_characters_and_at_most_its_length(value: object, limit: int) -> None:
    check = checks.line(limit)
    assert check.words == f"one line of at most {limit} characters"
    whole = joined(value) if isinstance(value, str) else None
    is_line = whole is not None and len(whole) <= limit and not any(re.match(r"[\x00-\x1f\x7f-\x9f]", c) for c in whole)
    assert is_accepted(check, value) == is_line


@given(anything | st.sampled_from(["continue", "prompt", "Continue"]))
def test_a_word_is_one_of_the_allowed_words(value: object) -> None:
    assert checks.MODE.words == "one of continue, prompt"
    assert is_accepted(checks.MODE, value) == (isinstance(value, str) and value in ("continue", "prompt"))


@given(st.lists(st.integers(0, 9) | st.none(), max_size=6) | anything)
def test_a_list_has_one_to_its_maximum_of_accepted_items(value: object) -> None:
    check = checks.listed(checks.whole(0, 7), 4)
    expected = (
        isinstance(value, list) and 1 <= len(value) <= 4 and all(is_whole(item) and 0 <= item <= 7 for item in value)
    )
    assert is_accepted(check, value) == expected


def test_a_refused_item_of_a_list_is_named_by_its_place() -> None:
    with pytest.raises(Refused, match=re.escape("names[2]")):
        checks.listed(checks.NAME, 3).parse(["a", "b", 1], "names")


@given(anything)
def test_an_object_is_a_dictionary(value: object) -> None:
    assert is_accepted(Check("object", checks.object_of), value) == isinstance(value, dict)


@given(st.dictionaries(st.sampled_from(sorted(RANGES)) | st.text(max_size=5), scalars, max_size=3))
def test_sampling_settings_are_known_and_finite(value: dict[str, Any]) -> None:
    accepted, refused = attempt(checks.SAMPLING, value)
    if refused is not None:
        assert refused.code == "invalid"
        assert any(name[:20] in refused.message or repr(name)[:20] in refused.message for name in value)
    else:
        assert accepted == value
        assert accepted.keys() <= RANGES.keys()
        assert not any(isinstance(given_, float) and not math.isfinite(given_) for given_ in accepted.values())


@given(anything | st.lists(st.integers(0, 9) | st.lists(st.integers(0, 3) | texts, max_size=3), max_size=4))
def test_accepted_changes_are_the_change_set_of_the_json(value: object) -> None:
    result, _ = parsed(checks.CHANGES, value)
    if result is not None:
        assert isinstance(result, ChangeSet)
        assert checks.CHANGES.parse(result.to_json(), FIELD) == result


runs = st.tuples(
    st.integers(-1, 5), st.sampled_from(["user", "model:", "model:GPT-2", "server", "user ", "model:a\nb"])
)


@given(st.lists(runs.map(list), max_size=5) | anything)
def test_authors_are_pairs_of_a_length_and_an_author(value: object) -> None:
    result, _ = parsed(checks.AUTHORS, value)
    expected = isinstance(value, list) and all(
        isinstance(run, list)
        and len(run) == 2
        and is_whole(run[0])
        and run[0] >= 1
        and isinstance(run[1], str)
        and (run[1] == "user" or run[1].startswith("model:"))
        and "\n" not in run[1]
        for run in value
    )
    assert (result is not None) == expected
    if result is not None:
        assert [list(run) for run in result] == value


def test_authors_have_a_limit_of_runs() -> None:
    assert is_accepted(checks.AUTHORS, [[1, "user"]] * limits.AUTHOR_RUNS)
    assert not is_accepted(checks.AUTHORS, [[1, "user"]] * (limits.AUTHOR_RUNS + 1))
