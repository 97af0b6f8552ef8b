"""Alternatives: the tokens that the model could have written at a place in the text, with their probabilities.

Owns the search for the token at a place, and the choice of options from the model's distribution. Knows nothing of
slots.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from generator.engine.sampling.arrays import Floats
from generator.engine.tokens.utf16 import Utf16Text
from generator.engine.tokens.vocabulary import Tokens, Vocabulary
from generator.engine.tokens.window import Window
from generator.engine.tokens.window_builder import build_window, pinned_head, read_tail
from generator.wire.messages import Alternatives

NUM_OPTIONS = 8


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """The present token: its range in the pieces, its text and its id. At the end of the text the id is None."""

    start: int
    end: int
    text: str
    token_id: int | None


NOWHERE = TokenPlace(0, 0, "", None)


def find_place(vocabulary: Vocabulary, size: int, request: Alternatives) -> tuple[TokenPlace, Window]:
    """Return the place, and the window of `size` tokens over the text before it. Raise PremiseTooLarge."""
    # The place may be anywhere in the pieces, so all of them are read. A character may take several tokens.
    text = "".join(piece.text for piece in request.pieces)
    tokens, skipped = read_tail(vocabulary, request.pieces, sys.maxsize)
    first, last, start, end = _covering(tokens, max(0, request.at - skipped))
    place = TokenPlace(
        start=skipped + start,
        end=skipped + end,
        text=Utf16Text(text).cut(skipped + start, skipped + end, errors="replace"),
        token_id=tokens.ids[first] if first < last else None,
    )
    head = pinned_head(vocabulary, request.premise, size)
    before = Tokens(tokens.ids[:first], tokens.lengths[:first])
    if not before.ids:
        return place, build_window(vocabulary, size, head, request.before, ())
    window = Window(size, head, before, skipped, vocabulary.starts)
    if window.is_overfull:
        window.roll()
    return place, window


def choose_options(vocabulary: Vocabulary, logits: Floats, place: TokenPlace) -> tuple[tuple[str, float], ...]:
    """Return texts with their probabilities in the model's own distribution, in descending order.

    The options include the present token.
    """
    weights = np.exp(logits - logits.max(), dtype=np.float64)
    probabilities = weights / weights.sum()
    options: dict[str, float] = {}
    if place.token_id is not None:
        options[place.text] = float(probabilities[place.token_id])
    for token_id in np.argsort(-np.where(vocabulary.blocked, -1, probabilities), kind="stable"):
        if len(options) >= NUM_OPTIONS or vocabulary.blocked[token_id]:
            break
        text = _complete_text(vocabulary.token_bytes[token_id])
        if text and text not in options:
            options[text] = float(probabilities[token_id])
    return tuple(sorted(options.items(), key=lambda option: -option[1]))


def _covering(tokens: Tokens, at: int) -> tuple[int, int, int, int]:
    """Return the tokens `[first, last)` of the character or word at unit `at`, and their range in units."""
    start, first = 0, 0
    for index, length in enumerate(tokens.lengths):
        if length == 0:
            continue
        if start <= at < start + length:
            return first, index + 1, start, start + length
        start, first = start + length, index + 1
    return len(tokens.ids), len(tokens.ids), start, start


def _complete_text(written: bytes) -> str:
    """Return the token's text, or an empty string if a character is incomplete."""
    try:
        return written.decode()
    except UnicodeDecodeError:
        return ""
