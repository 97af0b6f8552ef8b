"""Context: what of a draft the model is to see, as pieces for the engine.

Owns the choice of the stretch that is sent and what of it goes as token ids. Pure. Knows nothing of
tokenizers or windows in tokens: it reckons with `UNITS_PER_TOKEN`, more than any text needs on average.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest

from generator.messages import Piece
from stories.draft import DraftState
from stories.spans import Span
from stories.update import Token
from stories.utf16 import splits_pair

UNITS_PER_TOKEN = 8
DEFAULT_WINDOW = 1024
MAX_HEALED_TOKENS = 8


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


def context_of(state: DraftState, base: int, window: int | None) -> Context:
    """The context from `base` on, and as much before it as could still fall into the window."""
    end = len(state.text)
    reach = UNITS_PER_TOKEN * (window or DEFAULT_WINDOW)
    start = min(base, _word_start(state.text, max(0, end - reach)))
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
    return tuple(_healed(list(_merged(state, start, end))))


def _merged(state: DraftState, start: int, end: int) -> Iterator[Piece]:
    """Neighbours of the same kind as one piece: an edit then changes as few tokens as it can."""
    for tokenizer, group in groupby(state.spans.slice(start, end), key=_kind):
        stop, tokens = start, list[Token]()
        for span in group:
            stop += span.length
            tokens += span.tokens
        text = state.text[start:stop]
        ids, lengths = tuple([token.id for token in tokens]), tuple([token.length for token in tokens])
        yield Piece(text, ids, lengths, tokenizer or "")
        start = stop


def _kind(span: Span) -> str | None:
    return span.tokenizer if span.tokens else None


def _healed(pieces: Sequence[Piece]) -> Iterator[Piece]:
    """Where typed text goes on with a model's word, the word's tokens go as text, to be tokenized as one word."""
    held = ""
    for piece, after in zip_longest(pieces, pieces[1:]):
        if not piece.ids:
            yield Piece(held + piece.text)
            held = ""
        elif after is None or after.ids or after.text[:1].isspace():
            yield piece
        else:
            kept = _whole_words(piece)
            if kept.ids:
                yield kept
            held = piece.text[len(kept.text) :]


def _whole_words(piece: Piece) -> Piece:
    """The piece without its last, unfinished word, or the whole piece where that word is many tokens long."""
    count, length = len(piece.ids), len(piece.text)
    for _ in range(min(MAX_HEALED_TOKENS, count)):
        count -= 1
        length -= piece.lengths[count]
        if piece.text[length : length + 1].isspace() and piece.lengths[count]:
            return Piece(piece.text[:length], piece.ids[:count], piece.lengths[:count], piece.tokenizer)
    return piece
