"""SpanList: against a plain list with one entry per unit, under random updates."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stories.text.changes import ChangeSet, InvalidChange
from stories.text.span import InvalidSpans, Span
from stories.text.span_list import SpanList
from stories.text.update import USER, Token, Update
from tests.stories.strategies import updates_to


@dataclass(frozen=True)
class Unit:
    """A unit of text. `group` is its token with the zero-length tokens before it, `at` its offset in that token.

    `born` tells two insertions of equal tokens apart.
    """

    author: str
    group: tuple[Token, ...] = ()
    at: int = 0
    tokenizer: str = ""
    born: int = 0


def naive_apply(units: list[Unit], update: Update, born: int) -> list[Unit]:
    inserted: list[Unit] = []
    group: tuple[Token, ...] = ()
    for token in update.tokens:
        group = (*group, token)
        if token.length:
            born += 1
            inserted += [Unit(update.author, group, at, update.tokenizer, born) for at in range(token.length)]
            group = ()
    if not update.tokens:
        total = sum(len(insert or "") for _, insert in update.changes.sections)
        for length, author in update.authors or ((total, update.author),):
            inserted += [Unit(author)] * length
    result: list[Unit] = []
    old = 0
    for length, insert in update.changes.sections:
        if insert is None:
            result += units[old : old + length]
        else:
            result += inserted[: len(insert)]
            inserted = inserted[len(insert) :]
        old += length
    return result


Flat = list[tuple[str, int, tuple[Token, ...], str]]


def flat_units(units: list[Unit]) -> Flat:
    """Return `(author, length, group, tokenizer)` of whole groups, and of single units whose group was cut."""
    result: Flat = []
    at = 0
    while at < len(units):
        unit = units[at]
        size = unit.group[-1].length if unit.group else 1
        whole = unit.group and [(each.born, each.at) for each in units[at : at + size]] == [
            (unit.born, place) for place in range(size)
        ]
        result.append((unit.author, size, unit.group, unit.tokenizer) if whole else (unit.author, 1, (), ""))
        at += size if whole else 1
    return result


def flat_spans(spans: tuple[Span, ...]) -> Flat:
    result: Flat = []
    for span in spans:
        group: tuple[Token, ...] = ()
        assert not span.ids or sum(span.lengths) == span.length
        for token in map(Token, span.ids, span.lengths, span.logprobs):
            group = (*group, token)
            if token.length:
                result.append((span.author, token.length, group, span.tokenizer))
                group = ()
        if not span.ids:
            result += [(span.author, 1, (), "")] * span.length
    return result


@given(st.data())
def test_spans_agree_with_a_list_of_units(data: st.DataObject) -> None:
    text = "abc"
    units, spans = [Unit(USER)] * 3, SpanList.of(3, USER)
    for number in range(data.draw(st.integers(1, 8))):
        update = data.draw(updates_to(text))
        text = update.changes.apply(text)
        units = naive_apply(units, update, born=1000 * number)
        spans = spans.apply(update)
        check(spans, units)
    start, end = sorted((data.draw(st.integers(0, len(text))), data.draw(st.integers(0, len(text)))))
    assert flat_spans(spans.slice(start, end)) == flat_units(units[start:end])
    authored = [at + 1 for at, unit in enumerate(units[:end]) if unit.author == USER]
    assert spans.last_user_end(end) == max(authored, default=0)


def check(spans: SpanList, units: list[Unit]) -> None:
    everything = spans.slice(0, spans.length)
    assert spans.length == len(units) == sum(span.length for span in everything)
    assert flat_spans(everything) == flat_units(units)
    assert [author for length, author in spans.runs() for _ in range(length)] == [unit.author for unit in units]
    assert all(a[1] != b[1] for a, b in pairwise(spans.runs()))
    assert all(a.joined(b) is None for a, b in pairwise(everything))
    assert spans.model_tokens == sum(len(span.ids) for span in everything)
    assert spans.last_user_end() == max((at + 1 for at, unit in enumerate(units) if unit.author == USER), default=0)
    assert SpanList.from_json(json.loads(json.dumps(spans.to_json()))) == spans


def append(spans: SpanList, *tokens: Token) -> SpanList:
    text = "x" * sum(token.length for token in tokens)
    return spans.apply(Update("model", "model:m", ChangeSet.insert(spans.length, spans.length, text), tokens, "v"))


def test_a_long_text_has_few_spans_of_bounded_size() -> None:
    spans = SpanList.of(2, USER)
    for number in range(1000):
        spans = append(spans, Token(number, 2, -0.5))
    spans = append(spans, *(Token(number, number % 3 and 1, -0.5) for number in range(1000, 2001)))
    parts = spans.slice(0, spans.length)
    assert max(len(span.ids) for span in parts) <= 256
    assert len(parts) < 12
    assert [token_id for span in parts for token_id in span.ids] == list(range(2001))
    assert all(span.lengths[-1] for span in parts if span.ids)


def test_a_cut_token_is_dropped_with_the_zero_length_tokens_before_it() -> None:
    whole, first, second = Token(1, 2, -1.0), Token(2, 0, -1.0), Token(3, 2, -1.0)
    spans = append(SpanList.of(1, USER), whole, first, second)
    author = "model:m"

    def of_tokens(*tokens: Token) -> Span:
        return Span.of_tokens(author, tokens, "v")

    assert spans.slice(1, 3) == (of_tokens(whole),)
    assert spans.slice(3, 5) == (of_tokens(first, second),)
    assert spans.slice(2, 5) == (Span(1, author), of_tokens(first, second))
    assert spans.slice(1, 4) == (of_tokens(whole), Span(1, author))
    typed = spans.apply(Update("me", USER, ChangeSet.insert(5, 4, "!")))
    assert typed.slice(0, 6) == (
        *(Span(1, USER), of_tokens(whole)),
        *(Span(1, author), Span(1, USER), Span(1, author)),
    )


def test_zero_length_tokens_at_the_end_belong_to_the_next_token() -> None:
    spans = append(append(SpanList.of(0, USER), Token(1, 1, 0.0), Token(2, 0, 0.0)), Token(3, 2, 0.0))
    assert spans.slice(0, 3)[0].ids == (1, 2, 3)
    assert spans.slice(1, 3)[0].ids == (2, 3)


def test_token_ids_beyond_four_bytes_are_refused() -> None:
    with pytest.raises(InvalidSpans):
        append(SpanList.of(1, USER), Token(2**31, 1, 0.0))


def test_hundreds_of_zero_length_tokens_in_a_row_are_refused() -> None:
    with pytest.raises(InvalidSpans):
        append(SpanList.of(1, USER), *[Token(1, 0, 0.0)] * 300, Token(1, 1, 0.0))


@pytest.mark.parametrize(
    "extra",
    [
        *({"tokens": (Token(1, 1, 0.0),)}, {"tokens": (Token(1, 3, 0.0),)}),
        *({"authors": ((1, USER),)}, {"authors": ((3, USER),)}, {"authors": ((3, USER), (-1, USER))}),
    ],
)
def test_tokens_and_authors_that_do_not_add_up_are_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(InvalidChange):
        SpanList.of(1, USER).apply(Update("me", USER, ChangeSet.insert(1, 1, "ab"), **extra))


def test_a_change_for_another_text_is_refused() -> None:
    with pytest.raises(InvalidChange):
        SpanList.of(1, USER).apply(Update("me", USER, ChangeSet.insert(2, 1, "ab")))
    with pytest.raises(IndexError):
        SpanList.of(1, USER).slice(0, 2)


@pytest.mark.parametrize(
    "value",
    [
        *(None, [[1]], [["a", USER]], [[0, USER]], [[True, USER]], [[1, 2]], [[1, "m", "v", [], [], []]]),
        *([[1, "m", "v", [1], [2], [0]]], [[1, "m", "v", [1], [1], ["a"]]], [[1, "m", "v", [1], [1]]]),
        *([[1, "m", 5, [1], [1], [0]]], [[1, "m", "v", [1, 2], [1], [0]]], [[1, "m", "v", 1, [1], [0]]]),
        *([[1, "m", "v", [2**31], [1], [0]]], [[1, "m", "v", [-1], [1], [0]]]),
    ],
)
def test_malformed_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidSpans):
        SpanList.from_json(value)
