"""Sections: joining, mapping and composing, against a model in which every unit of text has an identity.

The old text is a list of numbers, and every inserted unit is a letter of its own. So two equal results have kept,
deleted and inserted exactly the same units.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stories.text.sections import Section, SectionBuilder, compose_sections, map_sections

Unit = int | str


def letters(first: str) -> Iterator[str]:
    """Letters that occur only once, from `first` on."""
    return (chr(ord(first) + number) for number in count())


@st.composite
def sections_over(draw: st.DrawFn, length: int, first: str) -> tuple[Section, ...]:
    """Sections over `length` units, whose inserted letters start with `first`."""
    builder, alphabet = SectionBuilder(), letters(first)
    while length or draw(st.booleans()):
        size = draw(st.integers(0, min(length, 3)))
        if size and draw(st.booleans()):
            builder.add(size, None)
        else:
            builder.add(size, "".join(next(alphabet) for _ in range(draw(st.integers(0, 2)))))
        length -= size
    return builder.build()


def apply(sections: Sequence[Section], units: Sequence[Unit]) -> list[Unit]:
    result, at = list[Unit](), 0
    for length, insert in sections:
        result += units[at : at + length] if insert is None else insert
        at += length
    assert at == len(units)
    return result


@given(st.data(), st.integers(0, 6))
def test_a_composition_keeps_deletes_and_inserts_the_same_units(data: st.DataObject, length: int) -> None:
    units = list(range(length))
    first = data.draw(sections_over(length, "a"))
    between = apply(first, units)
    second = data.draw(sections_over(len(between), "A"))
    composed = compose_sections(first, second)
    assert apply(composed, units) == apply(second, between)
    assert all(length or insert for length, insert in composed)


@given(st.data(), st.integers(0, 6), st.booleans())
def test_mapping_keeps_the_insertions_of_both_and_the_deletions_of_both(
    data: st.DataObject, length: int, before: bool
) -> None:
    units = list(range(length))
    a, b = data.draw(sections_over(length, "a")), data.draw(sections_over(length, "A"))
    after_a, after_b = apply(a, units), apply(b, units)
    result = apply(map_sections(a, b, before), after_b)
    assert [unit for unit in result if isinstance(unit, int)] == [unit for unit in after_a if unit in after_b]
    for own in (after_a, after_b):
        inserted = [unit for unit in own if isinstance(unit, str)]
        assert [unit for unit in result if unit in inserted] == inserted
    assert len(result) == len(set(result))


@given(st.data(), st.integers(0, 6))
def test_concurrent_sections_give_the_same_units_in_both_orders(data: st.DataObject, length: int) -> None:
    units = list(range(length))
    a, b = data.draw(sections_over(length, "a")), data.draw(sections_over(length, "A"))
    first_a = apply(map_sections(b, a, before=False), apply(a, units))
    assert first_a == apply(map_sections(a, b, before=True), apply(b, units))


@pytest.mark.parametrize(("before", "result"), [(True, [0, "a", "A", 1]), (False, [0, "A", "a", 1])])
def test_before_decides_the_order_of_insertions_at_one_place(before: bool, result: list[Unit]) -> None:
    a: tuple[Section, ...] = ((1, None), (0, "a"), (1, None))
    b: tuple[Section, ...] = ((1, None), (0, "A"), (1, None))
    assert apply(map_sections(a, b, before), apply(b, [0, 1])) == result


@pytest.mark.parametrize(
    ("sections", "built"),
    [
        ([(2, None), (3, None)], ((5, None),)),
        ([(2, ""), (3, "")], ((5, ""),)),
        ([(0, "x"), (0, "y")], ((0, "xy"),)),
        ([(1, "x"), (2, "")], ((1, "x"), (2, ""))),
        ([(1, "x"), (0, "y")], ((1, "x"), (0, "y"))),
        ([(1, "x"), (2, None)], ((1, "x"), (2, None))),
        ([(0, None), (0, ""), (1, None)], ((1, None),)),
    ],
)
def test_a_builder_joins_the_neighbours_that_codemirror_joins(
    sections: list[Section], built: tuple[Section, ...]
) -> None:
    builder = SectionBuilder()
    lengths = [len(builder.build())]
    for section in sections:
        is_longer = builder.add(*section)
        lengths.append(len(builder.build()))
        assert is_longer == (lengths[-1] > lengths[-2])
    assert builder.build() == built


def test_a_builder_extends_the_last_replacement_on_request() -> None:
    builder = SectionBuilder()
    assert builder.add(1, "x")
    assert not builder.add(2, "y", join=True)
    assert builder.build() == ((3, "xy"),)


@given(st.data(), st.integers(0, 6))
def test_results_contain_no_neighbours_that_could_be_joined(data: st.DataObject, length: int) -> None:
    a, b = data.draw(sections_over(length, "a")), data.draw(sections_over(length, "A"))
    for result in (map_sections(a, b, before=False), map_sections(a, b, before=True)):
        assert not any(one[1] == two[1] and not one[1] for one, two in pairwise(result))
