"""Alternatives: what else the model could have written at a place of the page.

Owns finding the token at the place and choosing the options from its distribution. Knows nothing of slots.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from generator.engine.sampling.arrays import Floats
from generator.engine.tokens.vocabulary import Tokens, Vocabulary
from generator.engine.tokens.window import Window
from generator.engine.tokens.window_builder import build_window, pinned_head, read_tail
from generator.wire.messages import Alternatives, Piece

NUM_OPTIONS = 8


@dataclass(frozen=True, slots=True)
class TokenPlace:
    """The present token: its range in the pieces, its text and its id (None at the end of the text)."""

    start: int
    end: int
    text: str
    token_id: int | None


NOWHERE = TokenPlace(0, 0, "", None)


def find_place(vocabulary: Vocabulary, size: int, request: Alternatives) -> tuple[TokenPlace, Window]:
    """The place, and the window over what stands before it. Raises PremiseTooLarge."""
    # All of the pieces are read: the place may be anywhere in them.
    everything = sum(len(piece.text) for piece in request.pieces)
    tokens, skipped = read_tail(vocabulary, request.pieces, everything + 1)
    first, last, start, end = _covering(tokens, max(0, request.at - skipped))
    place = TokenPlace(
        start=skipped + start,
        end=skipped + end,
        text=_slice(request.pieces, skipped + start, skipped + end),
        token_id=tokens.ids[first] if first < last else None,
    )
    head = pinned_head(vocabulary, request.premise, size)
    text = Tokens(tokens.ids[:first], tokens.lengths[:first])
    if not text.ids:
        return place, build_window(vocabulary, size, head, request.before, ())
    window = Window(size, head, text, skipped, vocabulary.starts)
    if window.is_overfull:
        window.roll()
    return place, window


def choose_options(vocabulary: Vocabulary, logits: Floats, place: TokenPlace) -> tuple[tuple[str, float], ...]:
    """Texts with their probability under the model's own distribution, falling, the present one included."""
    weights = np.exp(logits - logits.max(), dtype=np.float64)
    probabilities = weights / weights.sum()
    options: dict[str, float] = {}
    if place.token_id is not None:
        options[place.text] = float(probabilities[place.token_id])
    for token_id in np.argsort(-np.where(vocabulary.blocked, -1, probabilities), kind="stable"):
        if len(options) >= NUM_OPTIONS or vocabulary.blocked[token_id]:
            break
        text = _whole_text(vocabulary.token_bytes[token_id])
        if text and text not in options:
            options[text] = float(probabilities[token_id])
    return tuple(sorted(options.items(), key=lambda option: -option[1]))


def _covering(tokens: Tokens, at: int) -> tuple[int, int, int, int]:
    """The tokens `[first, last)` that make up the character or word at unit `at`, and their range in units."""
    start, first = 0, 0
    for index, length in enumerate(tokens.lengths):
        if length == 0:
            continue
        if start <= at < start + length:
            return first, index + 1, start, start + length
        start, first = start + length, index + 1
    return len(tokens.ids), len(tokens.ids), start, start


def _whole_text(written: bytes) -> str:
    """The token's text if it has complete characters only, else nothing."""
    try:
        return written.decode()
    except UnicodeDecodeError:
        return ""


def _slice(pieces: tuple[Piece, ...], start: int, end: int) -> str:
    written = "".join(piece.text for piece in pieces).encode("utf-16-le", "surrogatepass")
    return written[2 * start : 2 * end].decode("utf-16-le", "replace")
