"""Context: what of a draft the model is to see, as pieces for the engine.

Owns the choice of the stretch that is sent. Pure. Knows nothing of tokenizers or windows in tokens: it
reckons with `UNITS_PER_TOKEN`, more than any text needs on average.
"""

from __future__ import annotations

from dataclasses import dataclass

from generator.wire.messages import TYPED, Piece
from stories.draft.state import DraftState
from stories.text.span import Span
from stories.text.utf16 import splits_pair

UNITS_PER_TOKEN = 8
DEFAULT_WINDOW = 1024
# The engine moves the base back where less than half a window follows it, and then fills five eighths.
FILLED = 0.7
# Units. What precedes the base also tells that one was chosen.
LEAST_BEFORE = 256


@dataclass(frozen=True, slots=True)
class Context:
    """`pieces` run from `base` to the end of the text; `before` end at `base`."""

    base: int
    before: tuple[Piece, ...]
    pieces: tuple[Piece, ...]


def reachable_base(state: DraftState, window: int | None) -> int:
    """The window's base, brought so near to the end that what is sent stays bounded at any length."""
    reach = UNITS_PER_TOKEN * (window or DEFAULT_WINDOW)
    nearest = len(state.text) - reach
    return state.base if state.base >= nearest else _word_start(state.text, nearest)


def context_of(state: DraftState, base: int, window: int | None, whole: bool = False) -> Context:
    """The context from `base` on, and as much before it as the engine may need to fill the window; if it is to be
    `whole`, as much as could ever fall into it."""
    end, size = len(state.text), window or DEFAULT_WINDOW
    start = end - UNITS_PER_TOKEN * size
    if not whole:
        start = max(start, min(end - int(UNITS_PER_TOKEN * FILLED * size), base - LEAST_BEFORE))
    start = min(base, _word_start(state.text, start))
    return Context(base, _pieces(state, start, base), _pieces(state, base, end))


def _word_start(text: str, at: int) -> int:
    """The next place from `at` on where a word begins, or `at`, never inside a character."""
    if at <= 0:
        return 0
    space = text.find(" ", at, at + 100)
    if space >= 0:
        return space
    return at + 1 if splits_pair(text, at) else at


def _pieces(state: DraftState, start: int, end: int) -> tuple[Piece, ...]:
    """What lies there, in pieces of one vocabulary each."""
    pieces, at = list[Piece](), start
    columns = _Columns()
    for span in state.spans.slice(start, end):
        if not columns.take(span):
            pieces.append(columns.piece(state.text, at))
            at += columns.length
            columns = _Columns()
            columns.take(span)
    if columns.ids:
        pieces.append(columns.piece(state.text, at))
    return tuple(pieces)


class _Columns:
    """The tokens of neighbouring spans, and how long the text is in which there are none."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self._lengths: list[int] = []
        self._tokenizer = ""

    @property
    def length(self) -> int:
        return sum(self._lengths)

    def take(self, span: Span) -> bool:
        """Whether the span goes with what is there: not if it has tokens of another vocabulary."""
        if not span.ids:
            if self.ids and self.ids[-1] == TYPED:
                self._lengths[-1] += span.length
            else:
                self.ids.append(TYPED)
                self._lengths.append(span.length)
            return True
        if self._tokenizer not in ("", span.tokenizer):
            return False
        self._tokenizer = span.tokenizer
        self.ids += span.ids
        self._lengths += span.lengths
        return True

    def piece(self, text: str, start: int) -> Piece:
        text = text[start : start + self.length]
        return Piece(text, tuple(self.ids), tuple(self._lengths), self._tokenizer) if self._tokenizer else Piece(text)
