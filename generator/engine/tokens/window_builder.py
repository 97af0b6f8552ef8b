"""Window builder: turns the premise and pieces of a command into the window that the model sees.

Owns the tokenization of pieces and the choice of the base for a new context. Knows nothing of slots, steps or tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as AnySequence
from itertools import accumulate

from generator.engine.tokens.utf16 import Utf16Text, units
from generator.engine.tokens.vocabulary import WORD, Tokens, Vocabulary
from generator.engine.tokens.window import Window, find_base
from generator.wire.messages import TYPED, Piece, Premise

# The builder reads at most this many characters per token of the window, which is far more than a token spans.
_CHARACTERS_PER_TOKEN = 32
# Typed text that continues a model's word is tokenized together with it, if the word has at most this many tokens.
_MAX_HEALED_TOKENS = 8


class PremiseTooLarge(ValueError):
    """The premise takes more than a quarter of the window. The message is a sentence for the user."""


def pinned_head(vocabulary: Vocabulary, premise: Premise | None, size: int) -> list[int]:
    """Return the head of a window: the premise, or the start token, so that the model can begin an empty text.

    Raise PremiseTooLarge if the premise takes more than a quarter of `size`.
    """
    ids = vocabulary.tokenize_template(premise.template, premise.prompt) if premise else []
    if len(ids) > size // 4:
        raise PremiseTooLarge(
            f"The writing prompt takes {len(ids)} tokens, and this model allows {size // 4}. Please shorten it."
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
    """Return the window over `pieces`.

    The base moves forward if the pieces do not fit, or back into `before` if too few tokens follow it. Without
    `before` the base has not moved yet, so its first move comes `early` tokens early, either here or at the first roll.
    """
    text, skipped = read_tail(vocabulary, pieces, size - len(head))
    base = skipped
    if not skipped and len(text.ids) < size // 2 and before:
        # A little more than half a window, so that further deletions do not move the base at every keystroke.
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
    """Return the last tokens of the pieces and the number of UTF-16 units before them.

    The pieces are read backwards until there are more than `wanted` tokens.
    """
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
    """Yield the tokens and the length of each stretch, from the last one to the first.

    A stretch is typed text or text of the model, which keeps its tokens. The length is in UTF-16 units and is not
    always the sum of the tokens' lengths, because some tokenizers drop characters. Of typed text with more than `most`
    characters only the end is read, and nothing before it.
    """
    for piece in reversed(pieces):
        ids, lengths = _columns(vocabulary, piece)
        written = Utf16Text(piece.text)
        ends = [0, *accumulate(lengths)]
        last = len(ids)
        for mark in reversed([index for index, token_id in enumerate(ids) if token_id == TYPED]):
            yield Tokens(list(ids[mark + 1 : last]), list(lengths[mark + 1 : last])), ends[last] - ends[mark + 1]
            text, last = written.cut(ends[mark], ends[mark + 1]), mark
            if not text[:1].isspace() and (start := _word_start(vocabulary, ids, lengths, mark)) < mark:
                text, last = written.cut(ends[start], ends[mark + 1]), start
            if len(text) > most:
                text = text[max(text.find(" ", len(text) - most), len(text) - most) :]
                yield vocabulary.tokenize(text), units(text)
                return
            yield vocabulary.tokenize(text), ends[mark + 1] - ends[last]
        yield Tokens(list(ids[:last]), list(lengths[:last])), ends[last]


def _columns(vocabulary: Vocabulary, piece: Piece) -> tuple[AnySequence[int], AnySequence[int]]:
    """Return the piece's ids and lengths. If they do not fit the vocabulary and the text, return one typed stretch."""
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


def _word_start(vocabulary: Vocabulary, ids: AnySequence[int], lengths: AnySequence[int], mark: int) -> int:
    """Return the index of the first token of the model's word that the typed text at `mark` continues.

    Both are then tokenized as one word. Return `mark` if there is no such word or if it has too many tokens.
    """
    for index in range(mark - 1, max(-1, mark - 1 - _MAX_HEALED_TOKENS), -1):
        if ids[index] == TYPED:
            break
        if vocabulary.starts[ids[index]] == WORD and (index == 0 or lengths[index - 1]):
            return index
    return mark


def _suffix(vocabulary: Vocabulary, pieces: AnySequence[Piece], wanted: int, reach: int) -> Tokens:
    """Return about `wanted` tokens from the end of the pieces, beginning at a place for a base."""
    tokens, _ = read_tail(vocabulary, pieces, wanted)
    start = find_base(tokens, max(0, len(tokens.ids) - wanted), vocabulary.starts, reach)
    return Tokens(tokens.ids[start:], tokens.lengths[start:])
