"""Context: the pieces and premise of a command become the window the model sees.

Owns tokenizing pieces and choosing the base for a new context. Knows nothing of slots, steps or tensors.
"""

from __future__ import annotations

from collections.abc import Sequence as AnySequence

from generator.engine.vocabulary import Tokens, Vocabulary, units
from generator.engine.window import Window, find_start
from generator.messages import Piece, Premise

# No text is read further back than this many characters per token of the window: far more than tokens span.
_CHARACTERS_PER_TOKEN = 32


class PremiseTooLarge(ValueError):
    """The premise takes more than a quarter of the window; the message says so to the user."""


def pinned_head(vocabulary: Vocabulary, premise: Premise | None, size: int) -> list[int]:
    """What leads every window: the premise, or a start token so that even an empty text can begin.

    Raises PremiseTooLarge."""
    ids = vocabulary.tokenize_template(premise.template, premise.prompt) if premise else []
    if len(ids) > size // 4:
        raise PremiseTooLarge(
            f"The writing prompt takes {len(ids)} tokens; with this model it may take {size // 4}. Shorten it."
        )
    return ids or [vocabulary.start_id]


def build_window(
    vocabulary: Vocabulary,
    size: int,
    head: list[int],
    before: AnySequence[Piece],
    pieces: AnySequence[Piece],
    early: int = 0,
) -> Window:
    """The window over `pieces`, its base moved forward if they don't fit, or back if too few tokens follow it. Where no
    base was chosen yet, the first one comes, or the next one will come, so many tokens `early`."""
    room = size - len(head)
    text, skipped = read_tail(vocabulary, pieces, room)
    base = skipped
    if not skipped and len(text.ids) < size // 2 and before:
        # A little more than half a window, so that deleting on does not move the base at every stroke.
        earlier = _suffix(vocabulary, before, size * 5 // 8 - len(text.ids), reach=size // 16)
        base = -sum(earlier.lengths)
        text = Tokens(earlier.ids + text.ids, earlier.lengths + text.lengths)
    window = Window(size, head, text, base, vocabulary.starts)
    if not before:
        window.limit -= early
    if skipped or window.is_overfull:
        window.roll(0 if before else early)
    return window


def read_tail(vocabulary: Vocabulary, pieces: AnySequence[Piece], wanted: int) -> tuple[Tokens, int]:
    """The tokens of the last pieces, read backwards until there are more than `wanted`, and the units left out."""
    found: list[Tokens] = []
    count, skipped = 0, 0
    for piece in reversed(pieces):
        if count > wanted:
            skipped += units(piece.text)
            continue
        tokens, cut = _tokens_of(vocabulary, piece, wanted)
        found.append(tokens)
        count += len(tokens.ids)
        if cut:
            skipped += cut
            count = wanted + 1
    found.reverse()
    return Tokens([i for part in found for i in part.ids], [n for part in found for n in part.lengths]), skipped


def _tokens_of(vocabulary: Vocabulary, piece: Piece, wanted: int) -> tuple[Tokens, int]:
    if _ids_hold(vocabulary, piece):
        return Tokens(list(piece.ids), list(piece.lengths)), 0
    text = piece.text
    cut = 0
    if len(text) > wanted * _CHARACTERS_PER_TOKEN:
        cut = max(
            text.find(" ", len(text) - wanted * _CHARACTERS_PER_TOKEN), len(text) - wanted * _CHARACTERS_PER_TOKEN
        )
    return vocabulary.tokenize(text[cut:]), units(text[:cut])


def _ids_hold(vocabulary: Vocabulary, piece: Piece) -> bool:
    """Whether the ids are of this vocabulary and can be what wrote the text."""
    return (
        bool(piece.ids)
        and piece.tokenizer == vocabulary.fingerprint
        and len(piece.ids) == len(piece.lengths)
        and all(0 <= token_id < len(vocabulary.token_bytes) for token_id in piece.ids)
        and min(piece.lengths) >= 0
        and sum(piece.lengths) == units(piece.text)
    )


def _suffix(vocabulary: Vocabulary, pieces: AnySequence[Piece], wanted: int, reach: int) -> Tokens:
    tokens, _ = read_tail(vocabulary, pieces, wanted)
    start = find_start(tokens, max(0, len(tokens.ids) - wanted), vocabulary.starts, reach)
    return Tokens(tokens.ids[start:], tokens.lengths[start:])
