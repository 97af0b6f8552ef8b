"""Span: joining, splitting and cutting against a plain list of tokens, and its JSON form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stories.text.span import MAX_TOKENS, InvalidSpans, Span
from stories.text.update import USER, Token
from tests.stories.strategies import tokens_of

AUTHOR = "model:m"

lengths = st.integers(1, 12)
tokens = lengths.flatmap(tokens_of)


def span_of(*tokens: Token) -> Span:
    return Span.of_tokens(AUTHOR, tokens, "v")


def tokens_in(span: Span) -> list[Token]:
    return list(map(Token, span.ids, span.lengths, span.logprobs))


def groups_of(span: Span) -> list[tuple[int, int, list[Token]]]:
    """`(start, end, tokens)` of each token with a length, together with the zero-length tokens before it."""
    groups, group, at = [], list[Token](), 0
    for token in tokens_in(span):
        group.append(token)
        if token.length:
            groups.append((at, at + token.length, group))
            group, at = [], at + token.length
    return groups


@given(st.data(), tokens)
def test_a_cut_span_keeps_exactly_its_whole_tokens(data: st.DataObject, written: tuple[Token, ...]) -> None:
    span = span_of(*written)
    start = data.draw(st.integers(0, span.length - 1))
    end = data.draw(st.integers(start + 1, span.length))
    whole = [group for group in groups_of(span) if start <= group[0] and group[1] <= end]
    at, kept = start, list[Token]()
    for piece in span.slice(start, end):
        assert piece.author == AUTHOR
        assert piece.tokenizer == ("v" if piece.ids else "")
        assert sum(piece.lengths) == (piece.length if piece.ids else 0)
        if piece.ids:
            assert at == whole[0][0]
        at += piece.length
        kept += tokens_in(piece)
    assert at == end
    assert kept == [token for _, _, group in whole for token in group]


def test_zero_length_tokens_at_the_end_stay_with_the_last_token() -> None:
    span = span_of(Token(1, 1, 0.0), Token(2, 1, 0.0), Token(3, 0, 0.0))
    assert list(span.slice(1, 2)) == [span_of(Token(2, 1, 0.0), Token(3, 0, 0.0))]
    assert list(span.slice(0, 1)) == [span_of(Token(1, 1, 0.0))]


@given(st.lists(st.integers(0, 2), min_size=1, max_size=600))
def test_split_yields_all_tokens_in_parts_of_bounded_size(sizes: list[int]) -> None:
    span = span_of(*(Token(number, size, -1.0) for number, size in enumerate([*sizes, 1])))
    parts = list(span.split())
    assert all(0 < len(part.ids) <= MAX_TOKENS for part in parts)
    assert all(part.lengths[-1] for part in parts)
    assert [token for part in parts for token in tokens_in(part)] == tokens_in(span)
    assert sum(part.length for part in parts) == span.length


def test_an_empty_span_has_no_parts_and_zero_length_tokens_need_a_place_to_cut() -> None:
    assert list(Span(0, USER).split()) == []
    enough = [Token(1, 0, 0.0)] * (MAX_TOKENS - 1)
    assert len(list(span_of(*enough, Token(2, 1, 0.0)).split())) == 1
    with pytest.raises(InvalidSpans):
        list(span_of(*enough, Token(1, 0, 0.0), Token(2, 1, 0.0)).split())


@given(tokens, tokens)
def test_joined_spans_have_the_tokens_of_both(first: tuple[Token, ...], second: tuple[Token, ...]) -> None:
    assert span_of(*first).joined(span_of(*second)) == span_of(*first, *second)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Span(1, USER), Span(1, AUTHOR)),
        (span_of(Token(1, 1, 0.0)), Span(1, AUTHOR)),
        (span_of(Token(1, 1, 0.0)), Span.of_tokens(AUTHOR, [Token(1, 1, 0.0)], "another vocabulary")),
        (span_of(*[Token(1, 1, 0.0)] * MAX_TOKENS), span_of(Token(1, 1, 0.0))),
    ],
    ids=["author", "tokens", "tokenizer", "size"],
)
def test_unlike_spans_are_not_joined(first: Span, second: Span) -> None:
    assert first.joined(second) is None


def test_spans_without_tokens_are_joined_at_any_length() -> None:
    assert Span(10_000, USER).joined(Span(1, USER)) == Span(10_001, USER)


@given(st.one_of(tokens.map(lambda written: span_of(*written)), st.builds(Span, lengths, st.text(max_size=5))))
def test_json_is_read_back_unchanged(span: Span) -> None:
    assert Span.from_json(json.loads(json.dumps(span.to_json()))) == span


@pytest.mark.parametrize(
    "value",
    [
        *(None, [], [1], ["a", USER], [0, USER], [True, USER], [1, 2], [1, USER, "v"]),
        *([1, "m", "v", [], [], []], [1, "m", "v", [1], [2], [0]], [1, "m", "v", [1], [1], ["a"]]),
        *([1, "m", "v", [1], [1]], [1, "m", 5, [1], [1], [0]], [1, "m", "v", [1, 2], [1], [0]]),
        *([1, "m", "v", 1, [1], [0]], [1, "m", "v", [2**31], [1], [0]], [1, "m", "v", [-1], [1], [0]]),
        [257, "m", "v", [1] * 257, [1] * 257, [0] * 257],
    ],
)
def test_malformed_json_is_refused(value: object) -> None:
    with pytest.raises(InvalidSpans):
        Span.from_json(value)


@pytest.mark.parametrize("token", [Token(2**31, 1, 0.0), Token(-1, 1, 0.0), Token(1, 2**31, 0.0), Token(1, -1, 0.0)])
def test_tokens_that_no_vocabulary_has_are_refused(token: Token) -> None:
    with pytest.raises(InvalidSpans):
        span_of(token)
