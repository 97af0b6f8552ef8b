"""Spans: who wrote each unit of a text, and the tokens the model's part of it is made of.

Owns how authorship and tokens follow a text through its changes. Immutable, like the text itself. Knows
nothing of the text's characters, of models or of storage. Offsets and lengths are UTF-16 units.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, groupby

from stories.changes import InvalidChange
from stories.update import USER, Token, Update

# An append rewrites the last span only, so this bounds what it costs.
MAX_TOKENS = 256


class InvalidSpans(ValueError):
    """JSON that `Spans.to_json` cannot have written."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch by one author. `tokens`, if there are any, make up all of it, in the vocabulary `tokenizer`."""

    length: int
    author: str
    tokens: tuple[Token, ...] = ()
    tokenizer: str = ""


@dataclass(frozen=True, slots=True)
class Spans:
    """The spans of a whole text, made by `of`, `apply` and `from_json`.

    Neighbours differ in author, in vocabulary or in having tokens, or are together too long to be one.
    """

    _spans: tuple[Span, ...]
    _ends: tuple[int, ...]  # the offset at which each span ends

    @classmethod
    def of(cls, length: int, author: str) -> Spans:
        return _gather([Span(length, author)])

    @property
    def length(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def model_tokens(self) -> int:
        return sum(len(span.tokens) for span in self._spans)

    def apply(self, update: Update) -> Spans:
        """The spans after `update`: what it inserts is by its author, or by its `authors` where it has them.

        Raises InvalidChange if it is for a text of another length, or if its tokens or authors do not add
        up to what it inserts. Zero-length tokens that come without any text are not kept.
        """
        sections = update.changes.sections
        if update.changes.length != self.length:
            raise InvalidChange(f"The change is for a text of {update.changes.length} units, not {self.length}.")
        inserted, taken = _inserted(update), 0
        unchanged = sections[0][0] if sections and sections[0][1] is None else 0
        result = _Gatherer.after(self, bisect_right(self._ends, unchanged))
        at, old = result.length, 0
        for length, insert in sections:
            if insert is None:
                result.extend(self._cut(max(at, old), old + length))
            else:
                result.extend(inserted._cut(taken, taken + len(insert)))
                taken += len(insert)
            old += length
        return result.build()

    def slice(self, start: int, end: int) -> tuple[Span, ...]:
        """The spans from offset `start` to `end`.

        A token cut in two is no token: what is left of it becomes a span of its author without tokens.
        Zero-length tokens belong to the token that follows them.
        """
        return _gather(self._cut(start, end))._spans

    def runs(self) -> list[tuple[int, str]]:
        """`(length, author)` of the whole text, neighbours of the same author as one."""
        authors = groupby(self._spans, key=lambda span: span.author)
        return [(sum(span.length for span in spans), author) for author, spans in authors]

    def last_user_end(self, at_most: int | None = None) -> int:
        """Where the last unit written by a user ends, of those before offset `at_most`; 0 if there is none."""
        limit = self.length if at_most is None else at_most
        for index in range(min(bisect_left(self._ends, limit), len(self._spans) - 1), -1, -1):
            start = self._ends[index] - self._spans[index].length
            if self._spans[index].author == USER and start < limit:
                return min(self._ends[index], limit)
        return 0

    def has_author(self, author: str) -> bool:
        return any(span.author == author for span in self._spans)

    def to_json(self) -> list[object]:
        """A list of `[length, author]` or `[length, author, tokenizer, ids, lengths, logprobs]`."""
        return [_span_to_json(span) for span in self._spans]

    @classmethod
    def from_json(cls, value: object) -> Spans:
        """The inverse of `to_json`. Raises InvalidSpans for anything it cannot have written."""
        if not isinstance(value, list):
            raise InvalidSpans("spans are a list")
        spans = tuple(_span_from_json(part) for part in value)
        return cls(spans, tuple(accumulate(span.length for span in spans)))

    def _cut(self, start: int, end: int) -> Iterator[Span]:
        index = bisect_right(self._ends, start)
        while start < end:
            span = self._spans[index]
            first = self._ends[index] - span.length
            yield from _part(span, start - first, min(end - first, span.length))
            start = self._ends[index]
            index += 1


class _Gatherer:
    """Puts spans one after another, joining neighbours where one span may hold both."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._ends: list[int] = []

    @classmethod
    def after(cls, spans: Spans, count: int) -> _Gatherer:
        """Starting with the first `count` of `spans`."""
        gatherer = cls()
        gatherer._spans.extend(spans._spans[:count])
        gatherer._ends.extend(spans._ends[:count])
        return gatherer

    @property
    def length(self) -> int:
        return self._ends[-1] if self._ends else 0

    def extend(self, spans: Iterable[Span]) -> None:
        for span in spans:
            for piece in _pieces(span):
                self._add(piece)

    def _add(self, span: Span) -> None:
        length = self.length + span.length
        if self._spans:
            last = self._spans[-1]
            count = len(last.tokens) + len(span.tokens)
            alike = (last.author, last.tokenizer, not last.tokens) == (span.author, span.tokenizer, not span.tokens)
            if alike and count <= MAX_TOKENS:
                self._spans[-1] = Span(
                    last.length + span.length, last.author, last.tokens + span.tokens, last.tokenizer
                )
                self._ends[-1] = length
                return
        self._spans.append(span)
        self._ends.append(length)

    def build(self) -> Spans:
        return Spans(tuple(self._spans), tuple(self._ends))


def _gather(spans: Iterable[Span]) -> Spans:
    gatherer = _Gatherer()
    gatherer.extend(spans)
    return gatherer.build()


def _inserted(update: Update) -> Spans:
    """The spans of all that `update` inserts, in order."""
    total = sum(len(insert) for _, insert in update.changes.sections if insert)
    if update.tokens:
        spans = _gather([Span(total, update.author, update.tokens, update.tokenizer)] if total else [])
        correct = sum(token.length for token in update.tokens) == total
    else:
        runs = update.authors or ((total, update.author),)
        spans = _gather(Span(length, author) for length, author in runs)
        correct = all(length > 0 for length, _ in update.authors) and spans.length == total
    if not correct:
        raise InvalidChange("The tokens or authors of a change do not add up to the text it inserts.")
    return spans


def _pieces(span: Span) -> Iterator[Span]:
    """`span` in parts of at most `MAX_TOKENS` tokens; nothing if it is empty."""
    if len(span.tokens) <= MAX_TOKENS:
        if span.length:
            yield span
        return
    start = 0
    while start < len(span.tokens):
        end = start + MAX_TOKENS
        while end < len(span.tokens) and span.tokens[end - 1].length == 0:
            end -= 1  # a zero-length token stays with the one that follows
        tokens = span.tokens[start:end]
        yield Span(sum(token.length for token in tokens), span.author, tokens, span.tokenizer)
        start = end


def _part(span: Span, start: int, end: int) -> Iterator[Span]:
    """`span` from `start` to `end`, relative to it: its whole tokens, and around them what was cut."""
    if start == 0 and end == span.length:
        yield span
        return
    first, first_start, last, last_end = _whole_tokens(span, start, end)
    if first_start > start:
        yield Span(first_start - start, span.author)
    if first < last:
        yield Span(last_end - first_start, span.author, span.tokens[first:last], span.tokenizer)
    if end > last_end:
        yield Span(end - last_end, span.author)


def _whole_tokens(span: Span, start: int, end: int) -> tuple[int, int, int, int]:
    """The tokens that lie wholly between: index and offset of the first, and of what follows the last.

    Without any, both offsets are `start`.
    """
    first, first_start, last, last_end = 0, start, 0, start
    group, at = 0, 0  # the first of the zero-length tokens that belong to the token at hand, and its offset
    for index, token in enumerate(span.tokens):
        if not token.length:
            continue
        if start <= at and at + token.length <= end:
            if last == 0:
                first, first_start = group, at
            last, last_end = index + 1, at + token.length
        group, at = index + 1, at + token.length
    if last and last_end == span.length:
        last = len(span.tokens)  # zero-length tokens that nothing follows
    return first, first_start, last, last_end


def _span_to_json(span: Span) -> list[object]:
    if not span.tokens:
        return [span.length, span.author]
    ids = [token.id for token in span.tokens]
    lengths = [token.length for token in span.tokens]
    return [span.length, span.author, span.tokenizer, ids, lengths, [token.logprob for token in span.tokens]]


def _span_from_json(part: object) -> Span:
    if not isinstance(part, list) or len(part) not in (2, 6):
        raise InvalidSpans("a span is a list of two or six parts")
    length, author = part[:2]
    if type(length) is not int or length <= 0 or not isinstance(author, str):
        raise InvalidSpans("a span has a positive length and an author")
    if len(part) == 2:
        return Span(length, author)
    tokenizer, *columns = part[2:]
    if not isinstance(tokenizer, str) or not all(isinstance(column, list) for column in columns):
        raise InvalidSpans("the tokens of a span are three lists")
    ids, lengths, logprobs = columns
    numbers = all(type(number) is int for number in (*ids, *lengths)) and all(
        type(logprob) in (int, float) for logprob in logprobs
    )
    if not numbers or not len(ids) == len(lengths) == len(logprobs) <= MAX_TOKENS or sum(lengths) != length:
        raise InvalidSpans("the tokens of a span do not make up its length")
    tokens = tuple(Token(*token) for token in zip(ids, lengths, map(float, logprobs), strict=True))
    return Span(length, author, tokens, tokenizer)
