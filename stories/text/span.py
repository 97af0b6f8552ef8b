"""Span: a stretch of text by one author, with its tokens if a model wrote it.

Owns joining and cutting spans, and their JSON form. Knows nothing of the text or of other spans in it. Offsets and
lengths are UTF-16 units, counted from the start of the span.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stories.text.update import Token

# An append rewrites only the last span, so this bounds the cost of an append.
MAX_TOKENS = 256
_TOO_LARGE = 2**31


class InvalidSpans(ValueError):
    """Spans or tokens that no text has; as JSON, a value that `to_json` never writes."""


@dataclass(frozen=True, slots=True)
class Span:
    """`length` units of text by `author`, with all of its tokens or with none.

    The tokens are stored as columns, since spans are joined, cut and sent at every keystroke: `ids` in the vocabulary
    named `tokenizer`, `lengths` in units, which add up to `length`, and `logprobs`. A zero-length token belongs to the
    token after it.
    """

    length: int
    author: str
    ids: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    tokenizer: str = ""

    @classmethod
    def of_tokens(cls, author: str, tokens: Sequence[Token], tokenizer: str) -> Span:
        """Make a span of at least one token. Raises InvalidSpans for ids or lengths that no token has."""
        ids, lengths, logprobs = zip(*((token.id, token.length, token.logprob) for token in tokens), strict=True)
        _check_numbers(ids, lengths)
        return cls(sum(lengths), author, ids, lengths, logprobs, tokenizer)

    def joined(self, other: Span) -> Span | None:
        """Join this span with `other`, which follows it. Return None if they cannot be one span."""
        if self.author != other.author or self.tokenizer != other.tokenizer or bool(self.ids) != bool(other.ids):
            return None
        if len(self.ids) + len(other.ids) > MAX_TOKENS:
            return None
        ids, lengths = self.ids + other.ids, self.lengths + other.lengths
        return Span(
            self.length + other.length, self.author, ids, lengths, self.logprobs + other.logprobs, self.tokenizer
        )

    def split(self) -> Iterator[Span]:
        """Yield this span in parts of at most `MAX_TOKENS` tokens; an empty span has no parts.

        A cut never separates zero-length tokens from the token after them. Raises InvalidSpans if as many as
        `MAX_TOKENS` of them in a row leave no place to cut.
        """
        if len(self.ids) <= MAX_TOKENS:
            if self.length:
                yield self
            return
        start = 0
        while start < len(self.ids):
            end = start + MAX_TOKENS
            while end < len(self.ids) and self.lengths[end - 1] == 0:
                end -= 1
            if end == start:
                raise InvalidSpans("a span has too many zero-length tokens in a row")
            yield self._with_tokens(start, end)
            start = end

    def slice(self, start: int, end: int) -> Iterator[Span]:
        """Yield the spans from offset `start` to `end`. Tokens that are cut in two become text without tokens."""
        if start == 0 and end == self.length:
            yield self
            return
        first, first_start, last, last_end = self._whole_tokens(start, end)
        if first_start > start:
            yield Span(first_start - start, self.author)
        if first < last:
            yield self._with_tokens(first, last)
        if end > last_end:
            yield Span(end - last_end, self.author)

    def _with_tokens(self, first: int, last: int) -> Span:
        """The span of the tokens from index `first` up to, not including, `last`."""
        ids, lengths, logprobs = self.ids[first:last], self.lengths[first:last], self.logprobs[first:last]
        return Span(sum(lengths), self.author, ids, lengths, logprobs, self.tokenizer)

    def _whole_tokens(self, start: int, end: int) -> tuple[int, int, int, int]:
        """Find the tokens that lie wholly between `start` and `end`, with the zero-length tokens before them.

        Returns index and offset of the first one, then index and offset behind the last one. Without such a token,
        both indices are 0 and both offsets are `start`.
        """
        first, first_start, last, last_end = 0, start, 0, start
        group, at = 0, 0  # index of the first zero-length token before the current token, and the offset of both
        for index, length in enumerate(self.lengths):
            if not length:
                continue
            if start <= at and at + length <= end:
                if last == 0:
                    first, first_start = group, at
                last, last_end = index + 1, at + length
            group, at = index + 1, at + length
        if last and last_end == self.length:
            last = len(self.lengths)  # with the zero-length tokens at the end of the span
        return first, first_start, last, last_end

    def to_json(self) -> list[object]:
        """Return `[length, author]` or `[length, author, tokenizer, ids, lengths, logprobs]`."""
        if not self.ids:
            return [self.length, self.author]
        return [self.length, self.author, self.tokenizer, self.ids, self.lengths, self.logprobs]

    @classmethod
    def from_json(cls, value: object) -> Span:
        """The inverse of `to_json`. Raises InvalidSpans."""
        if not isinstance(value, list) or len(value) not in (2, 6):
            raise InvalidSpans("a span is a list of two or six parts")
        length, author = value[:2]
        if type(length) is not int or length <= 0 or not isinstance(author, str):
            raise InvalidSpans("a span has a positive length and an author")
        if len(value) == 2:
            return cls(length, author)
        tokenizer, *columns = value[2:]
        if not isinstance(tokenizer, str):
            raise InvalidSpans("the tokenizer of a span is a string")
        ids, lengths, logprobs = _columns(columns)
        if not ids or len(ids) > MAX_TOKENS or sum(lengths) != length:
            raise InvalidSpans("the tokens of a span do not add up to its length, or are too many")
        return cls(length, author, ids, lengths, logprobs, tokenizer)


def _columns(columns: Sequence[object]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]]:
    """Read the columns of a span: ids, lengths and logprobs. Raises InvalidSpans."""
    if not all(isinstance(column, list | tuple) for column in columns):
        raise InvalidSpans("the tokens of a span are three lists")
    ids, lengths, logprobs = (tuple(column) for column in columns if isinstance(column, list | tuple))
    if not len(ids) == len(lengths) == len(logprobs):
        raise InvalidSpans("the token lists of a span differ in length")
    _check_numbers(ids, lengths)
    if not all(type(logprob) in (int, float) for logprob in logprobs):
        raise InvalidSpans("the logprobs of a span are numbers")
    return ids, lengths, tuple(map(float, logprobs))


def _check_numbers(ids: tuple[int, ...], lengths: tuple[int, ...]) -> None:
    if not all(type(number) is int and 0 <= number < _TOO_LARGE for number in (*ids, *lengths)):
        raise InvalidSpans("ids and lengths of tokens are whole numbers below 2**31")
