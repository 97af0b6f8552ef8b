"""Banned words: the logits processor that forbids every token which would complete a banned word or phrase.

Words are compared by their bytes, so they are found however they are split into tokens. ASCII case is ignored, a word
inside a longer word is allowed, and the tokens so far may already hold the beginning of a word. Owns the tables of
tokens by spelling. Knows nothing of scores.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from generator.engine.sampling.arrays import NO_IDS, Ids
from generator.engine.tokens.vocabulary import Vocabulary

# The bytes below 0x80 that may follow a whole word in lower case, as ranges `[low, high)`. From 0x80 on the answer
# depends on the character.
_NO_LETTERS = ((b"", b"0"), (b":", b"a"), (b"{", b"\x80"))
_ASCII_LETTERS = b"0123456789abcdefghijklmnopqrstuvwxyz"


class BannedWords:
    """The banned words of one sequence.

    `_always` are the tokens that contain a whole banned word. `_after` maps the beginning of a word, and whether the
    word must start at a word boundary, to the tokens that complete it.
    """

    def __init__(self, vocabulary: Vocabulary, words: tuple[str, ...]) -> None:
        self.words = words
        self._token_bytes = vocabulary.token_bytes
        spellings = {spelling for word in words for spelling in _spellings(word)}
        self._always = _containing(vocabulary, spellings)
        self._after: dict[tuple[bytes, bool], Ids] = {}
        self._longest = max(map(len, spellings), default=0)
        tokens = _sorted_tokens(vocabulary)
        for spelling in spellings:
            text = spelling.decode()
            needs_boundary, ends_in_letter = _is_letter(text[0]), _is_letter(text[-1])
            for cut in range(len(spelling)):
                found = _beginning_with(tokens, spelling[cut:], ends_in_letter)
                if len(found):
                    key = spelling[:cut], needs_boundary
                    self._after[key] = np.union1d(self._after.get(key, NO_IDS), found)

    def ids(self, token_ids: AnySequence[int]) -> Ids:
        """Return the tokens that must not follow `token_ids`."""
        if not self.words:
            return NO_IDS
        # One more character, of at most four bytes, decides whether a word begins at a boundary.
        text = b"".join(self._token_bytes[i] for i in token_ids[-(self._longest + 4) :]).lower()
        found = [self._always]
        for length in range(min(self._longest, len(text) + 1)):
            begun, before = text[len(text) - length :], text[: len(text) - length]
            found.append(self._after.get((begun, False), NO_IDS))
            at_boundary = self._after.get((begun, True))
            if at_boundary is not None and not _is_letter(before.decode(errors="replace")[-1:]):
                found.append(at_boundary)
        return np.concatenate(found)


@lru_cache(maxsize=4)
def _sorted_tokens(vocabulary: Vocabulary) -> tuple[list[bytes], Ids]:
    """Return the sorted lower-case spellings of all tokens, and the token id of each."""
    lower = [spelling.lower() for spelling in vocabulary.token_bytes]
    order = sorted(range(len(lower)), key=lower.__getitem__)
    return [lower[token_id] for token_id in order], np.array(order, dtype=np.int64)


def _spellings(word: str) -> Iterator[bytes]:
    """Yield the bytes of the word in lower case.

    Bytes ignore case in ASCII only. For other letters the common variants of the word's case are yielded as well.
    """
    for variant in (word, word.lower(), word.upper(), word.capitalize()):
        yield variant.encode().lower()


def _beginning_with(tokens: tuple[list[bytes], Ids], rest: bytes, ends_in_letter: bool) -> Ids:
    """Return the tokens that begin with `rest`, except tokens in which a letter continues a word that ends there."""
    spellings, ids = tokens
    if not ends_in_letter:
        return ids[bisect_left(spellings, rest) : bisect_left(spellings, rest + b"\xff")]
    found = [ids[bisect_left(spellings, rest + low) : bisect_left(spellings, rest + high)] for low, high in _NO_LETTERS]
    first, last = bisect_left(spellings, rest + b"\x80"), bisect_left(spellings, rest + b"\xff")
    follows = [spellings[place][len(rest) :].decode(errors="ignore")[:1] for place in range(first, last)]
    found.append(ids[first:last][[not _is_letter(character) for character in follows]])
    return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class _JoinedTokens:
    """All tokens' lower-case spellings in one byte string, each followed by a zero byte.

    `starts` are the tokens' places in `text`, `codes` its bytes, and `is_letter` flags the ASCII letters and digits.
    """

    text: bytes
    starts: Ids
    codes: npt.NDArray[np.uint8]
    is_letter: npt.NDArray[np.bool_]


@lru_cache(maxsize=4)
def _joined_tokens(vocabulary: Vocabulary) -> _JoinedTokens:
    text = b"".join(spelling.lower() + b"\0" for spelling in vocabulary.token_bytes)
    starts = np.cumsum([0, *(len(spelling) + 1 for spelling in vocabulary.token_bytes)])
    codes = np.frombuffer(text, dtype=np.uint8)
    return _JoinedTokens(text, starts, codes, np.isin(codes, np.frombuffer(_ASCII_LETTERS, dtype=np.uint8)))


def _containing(vocabulary: Vocabulary, spellings: set[bytes]) -> Ids:
    """Return the tokens that contain a whole banned word, not at their beginning."""
    found: set[int] = set()
    for spelling in spellings:
        joined = _joined_tokens(vocabulary)
        for begin in _places(joined, spelling).tolist():
            token_id = int(np.searchsorted(joined.starts, begin, side="right")) - 1
            first, last = int(joined.starts[token_id]), int(joined.starts[token_id + 1]) - 1
            if _is_whole(joined.text, begin, begin + len(spelling), first, last):
                found.add(token_id)
    return np.array(sorted(found), dtype=np.int64)


def _places(joined: _JoinedTokens, spelling: bytes) -> Ids:
    """Return the places of `spelling`, without most places inside longer words, which are frequent for short words."""
    places = np.flatnonzero(joined.codes[1 : len(joined.codes) - len(spelling)] == spelling[0]) + 1
    if spelling[:1].isalnum():
        places = places[~joined.is_letter[places - 1]]
    if spelling[-1:].isalnum():
        places = places[~joined.is_letter[places + len(spelling)]]
    for offset in range(1, len(spelling)):
        places = places[joined.codes[places + offset] == spelling[offset]]
    return places


def _is_whole(joined: bytes, begin: int, end: int, first: int, last: int) -> bool:
    """Whether the word at `[begin, end)` is a whole word inside the token at `[first, last)`, not at its beginning."""
    word = joined[begin:end].decode(errors="ignore")
    before, after = joined[first:begin].decode(errors="ignore"), joined[end:last].decode(errors="ignore")
    if begin == first or (_is_letter(word[:1]) and _is_letter(before[-1:])):
        return False
    return not (_is_letter(word[-1:]) and _is_letter(after[:1]))


def _is_letter(character: str) -> bool:
    return character.isalnum()
