"""Vocabulary: what the engine needs to know of a model's tokens, whatever tokenizer they come from.

Every token is a stretch of bytes; text is their concatenation. Knows nothing of models, windows or files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

INSIDE, CHARACTER, WORD = 0, 1, 2
"""Where a token starts: inside a character, at a character, or at white space (where tokenizers split)."""

# What a text may never contain, and so what a model may never write.
_FORBIDDEN_BYTES = (b"\r", b"\0")
# A context comes at every keystroke, with all that somebody typed among what the model wrote: mostly words, which stay
# as they are. Longer texts change while they are written.
_WORDS_LENGTH, _KEPT_WORDS, _KEPT_TEXTS = 24, 8192, 128
# Where a line, a speech or a list begins again: what stands before is no part of a repetition after it.
_BREAKING_BYTES = (b"\n", b":", b'"', b"*")
# Bytes that begin no character, and those that begin none of four bytes.
_CONTINUATIONS, _SHORT = bytes(range(0x80, 0xC0)), bytes(range(0xF0))


@dataclass(frozen=True, slots=True)
class Tokens:
    """Token ids and the UTF-16 units each adds to the text: 0 for one that ends inside a character,
    the character's whole length for the one that completes it."""

    ids: list[int]
    lengths: list[int]


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """`token_bytes[id]` is what a token writes, empty for special tokens. `encode` turns plain text into
    ids and, per id, the index of the character its text ends at; it must never yield a special token.

    `size` is the width of the model's logits, which may be larger than the number of tokens.
    `fingerprint` names the vocabulary: equal ids mean equal text wherever it is equal.
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
    blocked_but_ends: npt.NDArray[np.int64] = field(init=False)
    breakers: npt.NDArray[np.bool_] = field(init=False)
    _tokenize_words: Callable[[str], Tokens] = field(init=False)
    _tokenize_text: Callable[[str], Tokens] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", bytes(_start_of(token) for token in self.token_bytes))
        object.__setattr__(self, "blocked", self._find_blocked())
        object.__setattr__(self, "blocked_ids", np.flatnonzero(self.blocked))
        object.__setattr__(self, "blocked_but_ends", np.setdiff1d(self.blocked_ids, [*self.end_ids]))
        object.__setattr__(self, "breakers", self._find_breakers())
        object.__setattr__(self, "_tokenize_words", lru_cache(maxsize=_KEPT_WORDS)(self._tokenize))
        object.__setattr__(self, "_tokenize_text", lru_cache(maxsize=_KEPT_TEXTS)(self._tokenize))

    def tokenize(self, text: str) -> Tokens:
        """`text` as tokens; never as special ones. Results are shared: treat them as read-only."""
        if not text:
            return Tokens([], [])
        return self._tokenize_words(text) if len(text) <= _WORDS_LENGTH else self._tokenize_text(text)

    def _tokenize(self, text: str) -> Tokens:
        ids, ends = self.encode(text)
        return Tokens(ids, self._lengths_by_bytes(text, ids) or _lengths_by_offsets(text, ends))

    def tokenize_template(self, template: str, prompt: str) -> list[int]:
        """The premise: the template's special tokens become ids, all else plain text, `{prompt}` included."""
        names = sorted(filter(None, self.special), key=len, reverse=True)
        parts = re.split("(" + "|".join(map(re.escape, names)) + ")", template) if names else [template]
        ids: list[int] = []
        for number, part in enumerate(parts):
            is_special = number % 2 == 1
            ids += [self.special[part]] if is_special else self.tokenize(part.replace("{prompt}", prompt)).ids
        return ids

    def _lengths_by_bytes(self, text: str, ids: list[int]) -> list[int] | None:
        """Lengths per token, or None where the tokens don't spell the text byte for byte."""
        spelled = [self.token_bytes[token_id] for token_id in ids]
        written = text.encode()
        if b"".join(spelled) != written:
            return None
        return list(map(len, spelled)) if len(written) == len(text) else _lengths_in_units(written, spelled)

    def _find_blocked(self) -> npt.NDArray[np.bool_]:
        """Tokens a model may never write. End tokens are among them, but for where an end is allowed."""
        blocked = np.ones(self.size, dtype=np.bool_)
        for token_id, written in enumerate(self.token_bytes[: self.size]):
            blocked[token_id] = not written or any(byte in written for byte in _FORBIDDEN_BYTES)
        blocked[[token_id for token_id in {*self.special.values(), *self.end_ids} if token_id < self.size]] = True
        return blocked

    def _find_breakers(self) -> npt.NDArray[np.bool_]:
        """Tokens across which nothing counts as repeated."""
        breakers = np.ones(max(self.size, len(self.token_bytes)), dtype=np.bool_)
        for token_id, written in enumerate(self.token_bytes):
            breakers[token_id] = not written or any(byte in written for byte in _BREAKING_BYTES)
        return breakers


def units(text: str) -> int:
    """The length of `text` in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _start_of(token: bytes) -> int:
    if token[:1] in (b" ", b"\n"):
        return WORD
    is_continuation = bool(token) and token[0] & 0xC0 == 0x80
    return INSIDE if is_continuation else CHARACTER


def _lengths_in_units(written: bytes, spelled: AnySequence[bytes]) -> list[int]:
    """The UTF-16 units of the characters whose last byte each part holds; together the parts are `written`."""
    lengths, start = [], 0
    followed = written + b"."
    for part in spelled:
        end = start + len(part)
        # A character ends where the next byte begins another. One of four bytes, begun three before, is two units.
        ends = followed[start + 1 : end + 1].translate(None, _CONTINUATIONS)
        long = written[max(0, start - 3) : max(0, end - 3)].translate(None, _SHORT)
        lengths.append(len(ends) + len(long))
        start = end
    return lengths


def _lengths_by_offsets(text: str, ends: list[int]) -> list[int]:
    """For tokenizers that normalize: what a token covers of the original text."""
    lengths, position = [], 0
    for number, end in enumerate(ends):
        until = len(text) if number == len(ends) - 1 else max(position, end)
        lengths.append(units(text[position:until]))
        position = until
    return lengths
