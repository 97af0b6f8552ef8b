"""Vocabulary: the tokens of a model as byte strings, independent of the tokenizer library.

Owns the conversion of text to tokens, and the sets of tokens that have special rules. A text is the concatenation of
its tokens' bytes. Knows nothing of models, windows or files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from generator.engine.tokens.utf16 import units

INSIDE, CHARACTER, WORD = 0, 1, 2
"""The start of a token: inside a character, at a character, or at white space, where tokenizers split words."""

# A text must not contain these bytes, so a model must not write them.
_FORBIDDEN_BYTES = (b"\r", b"\0")
# A context arrives at every keystroke and contains all typed text. Most typed stretches are single words that do not
# change, so their tokens are cached apart from those of longer texts, which change while the user types.
_MAX_WORD_LENGTH, _CACHED_WORDS, _CACHED_TEXTS = 24, 8192, 128
# The sequence breakers of DRY: after a new line, speech or list item, earlier text does not count as repeated.
_BREAKING_BYTES = (b"\n", b":", b'"', b"*")
# Bytes that continue a character, and all bytes except the first bytes of four-byte characters.
_CONTINUATIONS, _NOT_FOUR_BYTES = bytes(range(0x80, 0xC0)), bytes(range(0xF0))


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids with their lengths in UTF-16 units.

    A character counts for the token that completes it: a token that ends inside a character has length 0.
    """

    ids: list[int]
    lengths: list[int]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The tokens of a model.

    `token_bytes[id]` are the bytes of a token, empty for a special token. `encode` turns plain text into ids and, for
    each id, the index of the character at which the token's text ends; it must never return a special token. `size` is
    the width of the model's logits, which may be larger than the number of tokens. Two vocabularies with the same
    `fingerprint` turn the same ids into the same text.

    `starts[id]` is `INSIDE`, `CHARACTER` or `WORD`. `blocked` flags the tokens that a model must never write, and
    `blocked_ids` lists them; `blocked_except_ends` lists them without the end tokens. `breakers` flags the sequence
    breakers of DRY.
    """

    token_bytes: tuple[bytes, ...]
    special: Mapping[str, int]
    start_id: int
    end_ids: frozenset[int]
    size: int
    fingerprint: str
    encode: Callable[[str], tuple[list[int], list[int]]]
    starts: bytes = field(init=False)
    blocked: npt.NDArray[np.bool_] = field(init=False)
    blocked_ids: npt.NDArray[np.int64] = field(init=False)
    blocked_except_ends: npt.NDArray[np.int64] = field(init=False)
    breakers: npt.NDArray[np.bool_] = field(init=False)
    _tokenize_words: Callable[[str], Tokens] = field(init=False)
    _tokenize_text: Callable[[str], Tokens] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", bytes(_start_of(token) for token in self.token_bytes))
        object.__setattr__(self, "blocked", self._find_blocked())
        object.__setattr__(self, "blocked_ids", np.flatnonzero(self.blocked))
        object.__setattr__(self, "blocked_except_ends", np.setdiff1d(self.blocked_ids, [*self.end_ids]))
        object.__setattr__(self, "breakers", self._find_breakers())
        object.__setattr__(self, "_tokenize_words", lru_cache(maxsize=_CACHED_WORDS)(self._tokenize))
        object.__setattr__(self, "_tokenize_text", lru_cache(maxsize=_CACHED_TEXTS)(self._tokenize))

    def tokenize(self, text: str) -> Tokens:
        """Return the tokens of `text`, without special tokens. The result is shared, so do not change it."""
        if not text:
            return Tokens([], [])
        return self._tokenize_words(text) if len(text) <= _MAX_WORD_LENGTH else self._tokenize_text(text)

    def _tokenize(self, text: str) -> Tokens:
        ids, ends = self.encode(text)
        return Tokens(ids, self._lengths_by_bytes(text, ids) or _lengths_by_offsets(text, ends))

    def tokenize_template(self, template: str, prompt: str) -> list[int]:
        """Return the ids of a premise. Only the template's special tokens become special ids; all else is plain text,
        including the `prompt` that replaces `{prompt}`."""
        names = sorted(filter(None, self.special), key=len, reverse=True)
        parts = re.split("(" + "|".join(map(re.escape, names)) + ")", template) if names else [template]
        ids: list[int] = []
        for number, part in enumerate(parts):
            is_special = number % 2 == 1
            ids += [self.special[part]] if is_special else self.tokenize(part.replace("{prompt}", prompt)).ids
        return ids

    def _lengths_by_bytes(self, text: str, ids: list[int]) -> list[int] | None:
        """Return the length of each token, or None if the tokens do not spell the text byte for byte."""
        spelled = [self.token_bytes[token_id] for token_id in ids]
        written = text.encode()
        if b"".join(spelled) != written:
            return None
        return list(map(len, spelled)) if len(written) == len(text) else _lengths_in_units(written, spelled)

    def _find_blocked(self) -> npt.NDArray[np.bool_]:
        """Flag the tokens that a model must never write, including the end tokens."""
        blocked = np.ones(self.size, dtype=np.bool_)
        for token_id, written in enumerate(self.token_bytes[: self.size]):
            blocked[token_id] = not written or any(byte in written for byte in _FORBIDDEN_BYTES)
        blocked[[token_id for token_id in {*self.special.values(), *self.end_ids} if token_id < self.size]] = True
        return blocked

    def _find_breakers(self) -> npt.NDArray[np.bool_]:
        """Flag the tokens across which the DRY penalty finds no repetition."""
        breakers = np.ones(max(self.size, len(self.token_bytes)), dtype=np.bool_)
        for token_id, written in enumerate(self.token_bytes):
            breakers[token_id] = not written or any(byte in written for byte in _BREAKING_BYTES)
        return breakers


def _start_of(token: bytes) -> int:
    if token[:1] in (b" ", b"\n"):
        return WORD
    is_continuation = bool(token) and token[0] & 0xC0 == 0x80
    return INSIDE if is_continuation else CHARACTER


def _lengths_in_units(written: bytes, spelled: AnySequence[bytes]) -> list[int]:
    """Return for each part the UTF-16 units of the characters that end in it. `written` is all parts joined."""
    lengths, start = [], 0
    followed = written + b"."
    for part in spelled:
        end = start + len(part)
        # A character ends before each byte that begins another one. It counts one more unit if it has four bytes, so
        # if a four-byte character begins three bytes before its end.
        ends = followed[start + 1 : end + 1].translate(None, _CONTINUATIONS)
        long = written[max(0, start - 3) : max(0, end - 3)].translate(None, _NOT_FOUR_BYTES)
        lengths.append(len(ends) + len(long))
        start = end
    return lengths


def _lengths_by_offsets(text: str, ends: list[int]) -> list[int]:
    """Return the length of the original text that each token covers, for tokenizers that normalize the text."""
    lengths, position = [], 0
    for number, end in enumerate(ends):
        until = len(text) if number == len(ends) - 1 else max(position, end)
        lengths.append(units(text[position:until]))
        position = until
    return lengths
