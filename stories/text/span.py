"""Span: a stretch of text by one author, with the tokens it is made of if a model wrote it.

Owns how a span is cut and its JSON form. Knows nothing of the spans around it. Offsets are UTF-16 units,
relative to the span.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stories.text.update import Token

# An append rewrites the last span only, so this bounds what it costs.
MAX_TOKENS = 256
_TOO_LARGE = 2**31


class InvalidSpans(ValueError):
    """JSON that `to_json` cannot have written."""


@dataclass(frozen=True, slots=True)
class Span:
    """The tokens, if there are any, make up all of the span, in the vocabulary named `tokenizer`: their `ids`, how many
    units each is long, and the logarithms of their probabilities.

    In columns, since they are joined, cut and sent at every keystroke. Zero-length tokens belong to the token that
    follows them.
    """

    length: int
    author: str
    ids: tuple[int, ...] = ()
    lengths: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    tokenizer: str = ""

    @classmethod
    def of_tokens(cls, author: str, tokens: Sequence[Token], tokenizer: str) -> Span:
        """Raises InvalidSpans for numbers that no token has."""
        ids, lengths, logprobs = zip(*((token.id, token.length, token.logprob) for token in tokens), strict=True)
        _check_numbers(ids, lengths)
        return cls(sum(lengths), author, ids, lengths, logprobs, tokenizer)

    def joined(self, other: Span) -> Span | None:
        """This span and the `other`, which follows it, as one; None where they have to stay two."""
        if self.author != other.author or self.tokenizer != other.tokenizer or bool(self.ids) != bool(other.ids):
            return None
        if len(self.ids) + len(other.ids) > MAX_TOKENS:
            return None
        ids, lengths = self.ids + other.ids, self.lengths + other.lengths
        return Span(
            self.length + other.length, self.author, ids, lengths, self.logprobs + other.logprobs, self.tokenizer
        )

    def split(self) -> Iterator[Span]:
        """This span in parts of at most `MAX_TOKENS` tokens; nothing if it is empty.

        Raises InvalidSpans where more tokens than that make up nothing: there is no place to cut.
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
                raise InvalidSpans("a span of many tokens that make up nothing")
            yield self._of(start, end)
            start = end

    def part(self, start: int, end: int) -> Iterator[Span]:
        """What lies from `start` to `end`: the whole tokens, and around them what is left of cut ones, without."""
        if start == 0 and end == self.length:
            yield self
            return
        first, first_start, last, last_end = self._whole_tokens(start, end)
        if first_start > start:
            yield Span(first_start - start, self.author)
        if first < last:
            yield self._of(first, last)
        if end > last_end:
            yield Span(end - last_end, self.author)

    def _of(self, first: int, last: int) -> Span:
        """The tokens from `first` to `last`."""
        ids, lengths, logprobs = self.ids[first:last], self.lengths[first:last], self.logprobs[first:last]
        return Span(sum(lengths), self.author, ids, lengths, logprobs, self.tokenizer)

    def _whole_tokens(self, start: int, end: int) -> tuple[int, int, int, int]:
        """Index and offset of the first token that lies wholly between, and of what follows the last.

        Without any, both offsets are `start`.
        """
        first, first_start, last, last_end = 0, start, 0, start
        group, at = 0, 0  # the token at hand, with the zero-length ones before it, and its offset
        for index, length in enumerate(self.lengths):
            if not length:
                continue
            if start <= at and at + length <= end:
                if last == 0:
                    first, first_start = group, at
                last, last_end = index + 1, at + length
            group, at = index + 1, at + length
        if last and last_end == self.length:
            last = len(self.lengths)  # zero-length tokens that nothing follows
        return first, first_start, last, last_end

    def to_json(self) -> list[object]:
        """`[length, author]` or `[length, author, tokenizer, ids, lengths, logprobs]`."""
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
            raise InvalidSpans("the vocabulary of a span has a name")
        ids, lengths, logprobs = _columns(columns)
        if not ids or len(ids) > MAX_TOKENS or sum(lengths) != length:
            raise InvalidSpans("the tokens of a span do not make up its length")
        return cls(length, author, ids, lengths, logprobs, tokenizer)


def _columns(columns: Sequence[object]) -> tuple[tuple[int, ...], tuple[int, ...], tuple[float, ...]]:
    """Ids, lengths and logprobs."""
    if not all(isinstance(column, list | tuple) for column in columns):
        raise InvalidSpans("the tokens of a span are three lists")
    ids, lengths, logprobs = (tuple(column) for column in columns if isinstance(column, list | tuple))
    if not len(ids) == len(lengths) == len(logprobs):
        raise InvalidSpans("the tokens of a span are three lists of one length")
    _check_numbers(ids, lengths)
    if not all(type(logprob) in (int, float) for logprob in logprobs):
        raise InvalidSpans("the tokens of a span are numbers")
    return ids, lengths, tuple(map(float, logprobs))


def _check_numbers(ids: tuple[int, ...], lengths: tuple[int, ...]) -> None:
    if not all(type(number) is int and 0 <= number < _TOO_LARGE for number in (*ids, *lengths)):
        raise InvalidSpans("ids and lengths of tokens are whole numbers of four bytes")
