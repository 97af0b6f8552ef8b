"""Window: the tokens that a model sees, which are a pinned head and the text from the base on.

Owns the position of the base and its moves. Pure: knows ids, lengths and the starts of tokens, but no text and no
tensors.
"""

from __future__ import annotations

import zlib
from array import array
from collections.abc import Sequence as AnySequence

import numpy as np
import numpy.typing as npt

from generator.engine.tokens.vocabulary import CHARACTER, WORD, Tokens

MIN_WINDOW = 16

# A character has at most four bytes, so its start is at most this many tokens back.
_CHARACTER_REACH = 3


class Window:
    """A head and a text that grows at its end.

    `token_ids` is the head (the premise or the start token), followed by the tokens of the text from the base on.
    `lengths` has one entry per text token and none for the head. `base` is in UTF-16 units, counted from the start of
    the text that the window was created with. Once there are more than `limit` tokens, the owner must call `roll`.
    `limit` is `size`, or less before the first roll of a window that rolls early.
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
        """The number of tokens after the head."""
        return len(self.lengths)

    @property
    def is_overfull(self) -> bool:
        """Whether the window must roll."""
        return len(self.token_ids) > self.limit

    def ids(self) -> npt.NDArray[np.int64]:
        """Return `token_ids` as a numpy array. Copying the internal array is much faster than converting the list."""
        return np.array(self._array, dtype=np.int64)

    def append(self, token_id: int, length: int) -> None:
        """Add a token of `length` UTF-16 units at the end of the text."""
        self.token_ids.append(token_id)
        self._array.append(token_id)
        self.lengths.append(length)

    def roll(self, early: int = 0) -> None:
        """Move the base forward, so that half a window of text and `early` more tokens follow it."""
        self._drop(self._num_dropped(self.num_text, early))
        self.limit = self.size

    def next_window(self) -> Window | None:
        """Return the window that `roll` will create, with the text so far. None while the text is too short for it."""
        num_text = self.limit - self.num_head + 1
        if self.num_text <= num_text - self.size // 2:
            return None
        text = Tokens(self.token_ids[self.num_head :], self.lengths)
        window = Window(self.size, self.token_ids[: self.num_head], text, self.base, self._starts)
        window._drop(self._num_dropped(num_text))
        return window

    def _num_dropped(self, num_text: int, early: int = 0) -> int:
        """Return the number of tokens that a roll drops when the text has `num_text` tokens."""
        text = Tokens(self.token_ids[self.num_head :], self.lengths)
        return find_base(text, max(0, num_text - self.size // 2 - early), self._starts, self.size // 16)

    def _drop(self, count: int) -> None:
        self.base += sum(self.lengths[:count])
        self.lengths = self.lengths[count:]
        self.token_ids = self.token_ids[: self.num_head] + self.token_ids[self.num_head + count :]
        self._array = array("q", self.token_ids)


def stagger(name: str, size: int) -> int:
    """Return how many tokens early the first roll of the sequence `name` comes.

    Drafts that start together from one beginning would otherwise roll at the same step again and again, and all their
    lookahead windows would compete for the same steps.
    """
    return zlib.crc32(name.encode()) % max(1, size * 3 // 8)


def find_base(text: Tokens, index: int, starts: bytes, reach: int) -> int:
    """Return the nearest token for a base at or before `index`: a word within `reach` tokens, or else a character.

    From the start of a word, a text has the same tokens whatever precedes it. The token before the base always has a
    length, because otherwise the offset of the base would not identify the token.
    """
    for wanted, distance in ((WORD, reach), (CHARACTER, max(reach, _CHARACTER_REACH))):
        for candidate in range(index, max(-1, index - distance - 1), -1):
            if candidate == 0 or (text.lengths[candidate - 1] and starts[text.ids[candidate]] >= wanted):
                return candidate
    # Only invalid UTF-8 has more tokens in a row inside a character.
    return index


def common_prefix(left: AnySequence[int], right: AnySequence[int]) -> int:
    """Return the length of the longest common prefix."""
    shorter = min(len(left), len(right))
    if left[:shorter] == right[:shorter]:
        return shorter
    return next(i for i in range(shorter) if left[i] != right[i])
