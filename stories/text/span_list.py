"""SpanList: the author of each unit of a text, and the tokens of its model text.

Owns how authors and tokens follow a text through its changes. Immutable, like the text itself. Knows nothing of the
text's characters, of models or of storage. Offsets and lengths are UTF-16 units.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, groupby

from stories.text.changes import InvalidChange
from stories.text.span import InvalidSpans, Span
from stories.text.update import USER, Update


@dataclass(frozen=True, slots=True)
class SpanList:
    """The spans of a whole text. Neighbours that can be joined are joined.

    Made by `of`, `of_runs`, `apply` and `from_json`.
    """

    _spans: tuple[Span, ...]
    _ends: tuple[int, ...]  # the offset at which each span ends

    @classmethod
    def of(cls, length: int, author: str) -> SpanList:
        """Return the spans of a text by one author, without tokens."""
        return cls.of_runs([(length, author)])

    @classmethod
    def of_runs(cls, runs: Iterable[tuple[int, str]]) -> SpanList:
        """Return the spans of a text without tokens, from its `(length, author)` runs in order."""
        return _joined(Span(length, author) for length, author in runs)

    @property
    def length(self) -> int:
        """The length of the text in units."""
        return self._ends[-1] if self._ends else 0

    @property
    def model_tokens(self) -> int:
        """The number of tokens in the text, zero-length tokens included."""
        return sum(len(span.ids) for span in self._spans)

    def apply(self, update: Update) -> SpanList:
        """Return the spans after `update`. Inserted text is by the update's `authors`, or else by its `author`.

        Raises InvalidChange if the update is for a text of another length, or if its tokens or authors do not add up
        to the inserted text. Raises InvalidSpans for tokens that no vocabulary has. Zero-length tokens of an update
        without text are dropped.
        """
        changes = update.changes
        if changes.length != self.length:
            raise InvalidChange(f"The change is for a text of {changes.length} units, not {self.length}.")
        inserted, taken = _inserted(update), 0
        result, old = _Builder(), 0
        for length, insert in changes.sections:
            if insert is None:
                result.add_slice(self, old, old + length)
            else:
                result.add_slice(inserted, taken, taken + len(insert))
                taken += len(insert)
            old += length
        return result.build()

    def slice(self, start: int, end: int) -> tuple[Span, ...]:
        """Return the spans from offset `start` to `end`. Raises IndexError.

        A token that is cut in two becomes text by its author without tokens. A zero-length token belongs to the token
        after it.
        """
        if not 0 <= start <= end <= self.length:
            raise IndexError(f"units {start} to {end} are outside a text of {self.length}")
        result = _Builder()
        result.add_slice(self, start, end)
        return result.build()._spans

    def runs(self) -> list[tuple[int, str]]:
        """Return `(length, author)` runs over the whole text, with neighbours of one author joined."""
        authors = groupby(self._spans, key=lambda span: span.author)
        return [(sum(span.length for span in spans), author) for author, spans in authors]

    def last_user_end(self, at_most: int | None = None) -> int:
        """Return the offset behind the last unit by a user before offset `at_most`, or 0 without such a unit."""
        limit = self.length if at_most is None else at_most
        for index in range(min(bisect_left(self._ends, limit), len(self._spans) - 1), -1, -1):
            start = self._ends[index] - self._spans[index].length
            if self._spans[index].author == USER and start < limit:
                return min(self._ends[index], limit)
        return 0

    def to_json(self) -> list[object]:
        """Return the spans as a list, each as `Span.to_json` writes it."""
        return [span.to_json() for span in self._spans]

    @classmethod
    def from_json(cls, value: object) -> SpanList:
        """The inverse of `to_json`. Raises InvalidSpans for any other value."""
        if not isinstance(value, list):
            raise InvalidSpans("spans are a list")
        spans = tuple(map(Span.from_json, value))
        return cls(spans, tuple(accumulate(span.length for span in spans)))


class _Builder:
    """Appends spans one after another and joins neighbours that can be joined."""

    def __init__(self) -> None:
        self._spans: list[Span] = []
        self._ends: list[int] = []

    def build(self) -> SpanList:
        return SpanList(tuple(self._spans), tuple(self._ends))

    def add(self, span: Span) -> bool:
        """Append `span`. Return whether it stayed a span of its own, not joined with the one before."""
        end = (self._ends[-1] if self._ends else 0) + span.length
        joined = self._spans[-1].joined(span) if self._spans else None
        if joined is None:
            self._spans.append(span)
            self._ends.append(end)
            return True
        self._spans[-1], self._ends[-1] = joined, end
        return False

    def add_slice(self, source: SpanList, start: int, end: int) -> None:
        """Append the spans of `source` from offset `start` to `end`.

        The spans of `source` cannot be joined with each other. So, once a whole span has stayed on its own, all whole
        spans behind it are copied at once, which keeps edits of long texts cheap.
        """
        spans, ends = source._spans, source._ends
        index = bisect_right(ends, start)
        while start < end:
            span = spans[index]
            first = ends[index] - span.length
            if start > first or end < ends[index]:
                for piece in span.slice(start - first, min(end - first, span.length)):
                    self.add(piece)
            elif self.add(span):
                last = bisect_right(ends, end)
                shift = self._ends[-1] - ends[index]
                self._spans.extend(spans[index + 1 : last])
                self._ends.extend([at + shift for at in ends[index + 1 : last]] if shift else ends[index + 1 : last])
                index = last - 1
            start = ends[index]
            index += 1


def _joined(spans: Iterable[Span]) -> SpanList:
    """The list of `spans`, with each split where it is too long, and neighbours joined where possible."""
    result = _Builder()
    for span in spans:
        for piece in span.split():
            result.add(piece)
    return result.build()


def _inserted(update: Update) -> SpanList:
    """The spans of the text that `update` inserts, in order. Raises InvalidChange or InvalidSpans."""
    total = sum(len(insert) for _, insert in update.changes.sections if insert)
    if update.tokens:
        written = Span.of_tokens(update.author, update.tokens, update.tokenizer)
        spans = _joined([written] if total else [])
        correct = written.length == total
    else:
        runs = update.authors or ((total, update.author),)
        spans = SpanList.of_runs(runs)
        correct = all(length > 0 for length, _ in update.authors) and spans.length == total
    if not correct:
        raise InvalidChange("The tokens or authors of a change do not add up to its inserted text.")
    return spans
