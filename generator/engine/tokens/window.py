"""Window: the tokens a model sees. A pinned head (premise or start token), then the text from the base on.

Owns where the base is and when it moves. Pure: knows ids, lengths and where tokens start, no text and no tensor.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence as AnySequence

import numpy as np
import numpy.typing as npt

from generator.engine.tokens.vocabulary import CHARACTER, WORD, Tokens

MIN_WINDOW = 16

# A character has at most four bytes, so the start of one is never further back.
_CHARACTER_REACH = 3


class Window:
    """`token_ids` is the head followed by the text's tokens from the base on; never longer than `limit` for long. That
    is `size`, but less where the first move is to come `early`.

    `lengths` has one entry per text token (not for the head). `base` is in UTF-16 units, counted from where
    the text given at the start began.
    """

    def __init__(self, size: int, head: AnySequence[int], text: Tokens, base: int, starts: bytes) -> None:
        self.size = self.limit = size
        self.num_head = len(head)
        self.token_ids = [*head, *text.ids]
        self._array = array("q", self.token_ids)
        self.lengths = list(text.lengths)
        self.base = base
        self._starts = starts

    @property
    def num_text(self) -> int:
        return len(self.lengths)

    @property
    def is_overfull(self) -> bool:
        return len(self.token_ids) > self.limit

    def ids(self) -> npt.NDArray[np.int64]:
        """`token_ids` as numpy wants them: a list takes long to turn into that, an array is just copied."""
        return np.array(self._array, dtype=np.int64)

    def append(self, token_id: int, length: int) -> None:
        self.token_ids.append(token_id)
        self._array.append(token_id)
        self.lengths.append(length)

    def roll(self, early: int = 0) -> None:
        """Move the base forward so that half a window of text follows it, and `early` tokens more."""
        self._drop(self._num_dropped(self.num_text, early))
        self.limit = self.size

    def ahead(self) -> Window | None:
        """The window that this one rolls to when it is overfull, as far as its text is there; None while it is open
        where that begins."""
        num_text = self.limit - self.num_head + 1
        if self.num_text <= num_text - self.size // 2:
            return None
        text = Tokens(self.token_ids[self.num_head :], self.lengths)
        window = Window(self.size, self.token_ids[: self.num_head], text, self.base, self._starts)
        window._drop(self._num_dropped(num_text))
        return window

    def _num_dropped(self, num_text: int, early: int = 0) -> int:
        """How many tokens a roll drops that finds `num_text`."""
        text = Tokens(self.token_ids[self.num_head :], self.lengths)
        return find_start(text, max(0, num_text - self.size // 2 - early), self._starts, self.size // 16)

    def _drop(self, count: int) -> None:
        self.base += sum(self.lengths[:count])
        self.lengths = self.lengths[count:]
        self.token_ids = self.token_ids[: self.num_head] + self.token_ids[self.num_head + count :]
        self._array = array("q", self.token_ids)


def stagger(name: str, size: int) -> int:
    """How early the first move of the window of the sequence so named comes. Drafts of one beginning, begun together,
    would otherwise all have to be computed ahead at the same time, for ever."""
    return zlib.crc32(name.encode()) % max(1, size * 3 // 8)


def find_start(text: Tokens, index: int, starts: bytes, reach: int) -> int:
    """The nearest place for a base at or before `index`: a word's start within `reach` tokens, else a character's.

    A word's start, because there the text tokenizes the same whatever stood before it. Never after a token
    that adds nothing to the text: then the place would not be clear from its offset alone.
    """
    for wanted, distance in ((WORD, reach), (CHARACTER, max(reach, _CHARACTER_REACH))):
        for candidate in range(index, max(-1, index - distance - 1), -1):
            if candidate == 0 or (text.lengths[candidate - 1] and starts[text.ids[candidate]] >= wanted):
                return candidate
    # Only invalid UTF-8 has a longer stretch without a character's start.
    return index


def common_prefix(left: AnySequence[int], right: AnySequence[int]) -> int:
    """How many tokens `left` and `right` have in common at their start."""
    shorter = min(len(left), len(right))
    if left[:shorter] == right[:shorter]:
        return shorter
    return next(i for i in range(shorter) if left[i] != right[i])
