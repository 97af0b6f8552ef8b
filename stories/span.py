"""Span: a stretch of text by one author, with the tokens it is made of if a model wrote it.

Owns how a span is cut and its JSON form. Knows nothing of the spans around it. Offsets are UTF-16 units,
relative to the span.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stories.update import Token

# An append rewrites the last span only, so this bounds what it costs.
MAX_TOKENS = 256


class InvalidSpans(ValueError):
    """JSON that `to_json` cannot have written."""


@dataclass(frozen=True, slots=True)
class Span:
    """`tokens`, if there are any, make up all of the span, in the vocabulary named `tokenizer`.

    Zero-length tokens belong to the token that follows them.
    """

    length: int
    author: str
    tokens: tuple[Token, ...] = ()
    tokenizer: str = ""

    def joined(self, other: Span) -> Span | None:
        """This span and the `other`, which follows it, as one; None where they have to stay two."""
        tokens = bool(self.tokens)
        if self.author != other.author or self.tokenizer != other.tokenizer or tokens != bool(other.tokens):
            return None
        if len(self.tokens) + len(other.tokens) > MAX_TOKENS:
            return None
        return Span(self.length + other.length, self.author, self.tokens + other.tokens, self.tokenizer)

    def split(self) -> Iterator[Span]:
        """This span in parts of at most `MAX_TOKENS` tokens; nothing if it is empty."""
        if len(self.tokens) <= MAX_TOKENS:
            if self.length:
                yield self
            return
        start = 0
        while start < len(self.tokens):
            end = start + MAX_TOKENS
            while end < len(self.tokens) and self.tokens[end - 1].length == 0:
                end -= 1
            tokens = self.tokens[start:end]
            yield Span(sum(token.length for token in tokens), self.author, tokens, self.tokenizer)
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
            yield Span(last_end - first_start, self.author, self.tokens[first:last], self.tokenizer)
        if end > last_end:
            yield Span(end - last_end, self.author)

    def _whole_tokens(self, start: int, end: int) -> tuple[int, int, int, int]:
        """Index and offset of the first token that lies wholly between, and of what follows the last.

        Without any, both offsets are `start`.
        """
        first, first_start, last, last_end = 0, start, 0, start
        group, at = 0, 0  # the token at hand, with the zero-length ones before it, and its offset
        for index, token in enumerate(self.tokens):
            if not token.length:
                continue
            if start <= at and at + token.length <= end:
                if last == 0:
                    first, first_start = group, at
                last, last_end = index + 1, at + token.length
            group, at = index + 1, at + token.length
        if last and last_end == self.length:
            last = len(self.tokens)  # zero-length tokens that nothing follows
        return first, first_start, last, last_end

    def to_json(self) -> list[object]:
        """`[length, author]` or `[length, author, tokenizer, ids, lengths, logprobs]`."""
        if not self.tokens:
            return [self.length, self.author]
        ids = [token.id for token in self.tokens]
        lengths = [token.length for token in self.tokens]
        logprobs = [token.logprob for token in self.tokens]
        return [self.length, self.author, self.tokenizer, ids, lengths, logprobs]

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
        tokenizer, ids, lengths, logprobs = value[2:]
        if not isinstance(tokenizer, str):
            raise InvalidSpans("the vocabulary of a span has a name")
        tokens = _tokens(ids, lengths, logprobs)
        if not tokens or len(tokens) > MAX_TOKENS or sum(token.length for token in tokens) != length:
            raise InvalidSpans("the tokens of a span do not make up its length")
        return cls(length, author, tokens, tokenizer)


def _tokens(ids: object, lengths: object, logprobs: object) -> tuple[Token, ...]:
    if not (isinstance(ids, list) and isinstance(lengths, list) and isinstance(logprobs, list)):
        raise InvalidSpans("the tokens of a span are three lists")
    if not len(ids) == len(lengths) == len(logprobs):
        raise InvalidSpans("the tokens of a span are three lists of one length")
    whole = all(type(number) is int and number >= 0 for number in (*ids, *lengths))
    if not whole or not all(type(logprob) in (int, float) for logprob in logprobs):
        raise InvalidSpans("the tokens of a span are numbers")
    return tuple(map(Token, ids, lengths, map(float, logprobs)))
