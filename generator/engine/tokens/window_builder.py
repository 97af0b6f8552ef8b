"""Context: the pieces and premise of a command become the window the model sees.

Owns tokenizing pieces and choosing the base for a new context. Knows nothing of slots, steps or tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as AnySequence
from itertools import accumulate

from generator.engine.tokens.vocabulary import WORD, Tokens, Vocabulary, units
from generator.engine.tokens.window import Window, find_start
from generator.wire.messages import TYPED, Piece, Premise

# No text is read further back than this many characters per token of the window: far more than tokens span.
_CHARACTERS_PER_TOKEN = 32
# Longer words of a model's are left as they are where somebody goes on with them.
_MAX_HEALED_TOKENS = 8


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
    count, skipped = 0, sum(units(piece.text) for piece in pieces)
    for tokens, length in _stretches(vocabulary, pieces, wanted * _CHARACTERS_PER_TOKEN):
        found.append(tokens)
        count += len(tokens.ids)
        skipped -= length
        if count > wanted:
            break
    ids, lengths = list[int](), list[int]()
    for tokens in reversed(found):
        ids += tokens.ids
        lengths += tokens.lengths
    return Tokens(ids, lengths), skipped


def _stretches(vocabulary: Vocabulary, pieces: AnySequence[Piece], most: int) -> Iterator[tuple[Tokens, int]]:
    """The tokens of one stretch after the other, from the last one on, and its units: some tokenizers drop some. What a
    model wrote keeps its tokens.

    Of a text of more than `most` characters only its end is read, and nothing before it."""
    for piece in reversed(pieces):
        ids, lengths = _columns(vocabulary, piece)
        written = piece.text.encode("utf-16-le", "surrogatepass")
        ends = [0, *accumulate(lengths)]
        last = len(ids)
        for mark in reversed([index for index, token_id in enumerate(ids) if token_id == TYPED]):
            yield Tokens(list(ids[mark + 1 : last]), list(lengths[mark + 1 : last])), ends[last] - ends[mark + 1]
            text, last = _text(written, ends[mark], ends[mark + 1]), mark
            if not text[:1].isspace() and (start := _word_start(vocabulary, ids, lengths, mark)) < mark:
                text, last = _text(written, ends[start], ends[mark + 1]), start
            if len(text) > most:
                text = text[max(text.find(" ", len(text) - most), len(text) - most) :]
                yield vocabulary.tokenize(text), units(text)
                return
            yield vocabulary.tokenize(text), ends[mark + 1] - ends[last]
        yield Tokens(list(ids[:last]), list(lengths[:last])), ends[last]


def _columns(vocabulary: Vocabulary, piece: Piece) -> tuple[AnySequence[int], AnySequence[int]]:
    """Ids and lengths, if they are of this vocabulary and can be what wrote the text; else it is as good as typed."""
    ids, lengths = piece.ids, piece.lengths
    if (
        ids
        and piece.tokenizer == vocabulary.fingerprint
        and len(ids) == len(lengths)
        and min(ids) >= TYPED
        and max(ids) < len(vocabulary.token_bytes)
        and min(lengths) >= 0
        and sum(lengths) == units(piece.text)
    ):
        return ids, lengths
    return (TYPED,), (units(piece.text),)


def _text(written: bytes, start: int, end: int) -> str:
    """The units from `start` to `end`."""
    return written[2 * start : 2 * end].decode("utf-16-le", "surrogatepass")


def _word_start(vocabulary: Vocabulary, ids: AnySequence[int], lengths: AnySequence[int], mark: int) -> int:
    """Where the model's word begins that the typed text at `mark` goes on with, so that both are tokenized as one.
    `mark` itself if there is none, or one of many tokens."""
    for index in range(mark - 1, max(-1, mark - 1 - _MAX_HEALED_TOKENS), -1):
        if ids[index] == TYPED:
            break
        if vocabulary.starts[ids[index]] == WORD and (index == 0 or lengths[index - 1]):
            return index
    return mark


def _suffix(vocabulary: Vocabulary, pieces: AnySequence[Piece], wanted: int, reach: int) -> Tokens:
    tokens, _ = read_tail(vocabulary, pieces, wanted)
    start = find_start(tokens, max(0, len(tokens.ids) - wanted), vocabulary.starts, reach)
    return Tokens(tokens.ids[start:], tokens.lengths[start:])
