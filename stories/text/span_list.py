"""Spans: who wrote each unit of a text, and the tokens the model's part of it is made of.

Owns how authorship and tokens follow a text through its changes. Immutable, like the text itself. Knows
nothing of the text's characters, of models or of storage. Offsets and lengths are UTF-16 units.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, groupby

from stories.text.changes import InvalidChange
from stories.text.span import InvalidSpans, Span
from stories.text.update import USER, Update

__all__ = ["InvalidSpans", "Span", "SpanList"]


@dataclass(frozen=True, slots=True)
class SpanList:
    """The spans of a whole text, made by `of`, `apply` and `from_json`; neighbours that can be one are one."""

    _spans: tuple[Span, ...]
    _ends: tuple[int, ...]  # the offset at which each span ends

    @classmethod
    def of(cls, length: int, author: str) -> SpanList:
        return cls.of_runs([(length, author)])

    @classmethod
    def of_runs(cls, runs: Iterable[tuple[int, str]]) -> SpanList:
        """`(length, author)` of text without tokens, in order: the inverse of `runs`."""
        return _gather(Span(length, author) for length, author in runs)

    @property
    def length(self) -> int:
        return self._ends[-1] if self._ends else 0

    @property
    def model_tokens(self) -> int:
        return sum(len(span.ids) for span in self._spans)

    def apply(self, update: Update) -> SpanList:
        """The spans after `update`: what it inserts is by its author, or by its `authors` where it has them.

        Raises InvalidChange if it is for a text of another length, or if its tokens or authors do not add
        up to what it inserts, and InvalidSpans for tokens that cannot be. Zero-length tokens that come
        without any text are not kept.
        """
        changes = update.changes
        if changes.length != self.length:
            raise InvalidChange(f"The change is for a text of {changes.length} units, not {self.length}.")
        inserted, taken = _inserted(update), 0
        result, old = _Gatherer(), 0
        for length, insert in changes.sections:
            if insert is None:
                result.keep(self, old, old + length)
            else:
                result.keep(inserted, taken, taken + len(insert))
                taken += len(insert)
            old += length
        return result.build()

    def slice(self, start: int, end: int) -> tuple[Span, ...]:
        """The spans from offset `start` to `end`.

        A token cut in two is no token: what is left of it becomes a span of its author without tokens.
        Zero-length tokens belong to the token that follows them.
        """
        if not 0 <= start <= end <= self.length:
            raise IndexError(f"no units {start} to {end} in a text of {self.length}")
        result = _Gatherer()
        result.keep(self, start, end)
        return result.build()._spans

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

    def to_json(self) -> list[object]:
        return [span.to_json() for span in self._spans]

    @classmethod
    def from_json(cls, value: object) -> SpanList:
        """The inverse of `to_json`. Raises InvalidSpans for anything it cannot have written."""
        if not isinstance(value, list):
            raise InvalidSpans("spans are a list")
        spans = tuple(map(Span.from_json, value))
        return cls(spans, tuple(accumulate(span.length for span in spans)))


class _Gatherer:
    """Puts spans one after another, joining neighbours that can be one."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._ends: list[int] = []

    def build(self) -> SpanList:
        return SpanList(tuple(self._spans), tuple(self._ends))

    def add(self, span: Span) -> bool:
        """Whether `span` became a span of its own, not a part of the one before."""
        end = (self._ends[-1] if self._ends else 0) + span.length
        joined = self._spans[-1].joined(span) if self._spans else None
        if joined is None:
            self._spans.append(span)
            self._ends.append(end)
            return True
        self._spans[-1], self._ends[-1] = joined, end
        return False

    def keep(self, source: SpanList, start: int, end: int) -> None:
        """Add what lies from `start` to `end` in `source`.

        Its spans join with what is there, or with one that was cut, but not among themselves: behind the
        first that stays whole and alone the others follow in one stroke, which is what keeps edits cheap.
        """
        spans, ends = source._spans, source._ends
        index = bisect_right(ends, start)
        while start < end:
            span = spans[index]
            first = ends[index] - span.length
            if start > first or end < ends[index]:
                for piece in span.part(start - first, min(end - first, span.length)):
                    self.add(piece)
            elif self.add(span):
                last = bisect_right(ends, end)
                shift = self._ends[-1] - ends[index]
                self._spans.extend(spans[index + 1 : last])
                self._ends.extend([at + shift for at in ends[index + 1 : last]] if shift else ends[index + 1 : last])
                index = last - 1
            start = ends[index]
            index += 1


def _gather(spans: Iterable[Span]) -> SpanList:
    result = _Gatherer()
    for span in spans:
        for piece in span.split():
            result.add(piece)
    return result.build()


def _inserted(update: Update) -> SpanList:
    """The spans of all that `update` inserts, in order."""
    total = sum(len(insert) for _, insert in update.changes.sections if insert)
    if update.tokens:
        written = Span.of_tokens(update.author, update.tokens, update.tokenizer)
        spans = _gather([written] if total else [])
        correct = written.length == total
    else:
        runs = update.authors or ((total, update.author),)
        spans = SpanList.of_runs(runs)
        correct = all(length > 0 for length, _ in update.authors) and spans.length == total
    if not correct:
        raise InvalidChange("The tokens or authors of a change do not add up to the text it inserts.")
    return spans
