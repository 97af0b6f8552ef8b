"""Banned words: which tokens would complete a word or phrase that must not come, however it is cut into tokens.

Owns comparing by spelling: ASCII case does not matter, a word inside a longer one is not meant, and what the page says
already may be the beginning. Knows nothing of scores.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from generator.engine.tokens.vocabulary import Vocabulary

Ids = npt.NDArray[np.int64]

_NONE: Ids = np.empty(0, dtype=np.int64)
# What may follow a whole word in lower case, as ranges of the next byte. From 0x80 on it depends on the character.
_NO_LETTERS = ((b"", b"0"), (b":", b"a"), (b"{", b"\x80"))
_ASCII_LETTERS = b"0123456789abcdefghijklmnopqrstuvwxyz"


class BannedWords:
    """`_always` are tokens that contain a banned word whole. `_after` says for the end of a text which tokens would
    complete one that begins there, and whether it must begin as a word does."""

    def __init__(self, vocabulary: Vocabulary, words: tuple[str, ...]) -> None:
        self.words = words
        self._token_bytes = vocabulary.token_bytes
        spellings = {spelled for word in words for spelled in _spellings(word)}
        self._always = _containing(vocabulary, spellings)
        self._after: dict[tuple[bytes, bool], Ids] = {}
        self._reach = max(map(len, spellings), default=0)
        tokens = _sorted_tokens(vocabulary)
        for spelled in spellings:
            first, last = _is_letter(spelled.decode()[0]), _is_letter(spelled.decode()[-1])
            for cut in range(len(spelled)):
                found = _beginning_with(tokens, spelled[cut:], last)
                if len(found):
                    key = spelled[:cut], first
                    self._after[key] = np.union1d(self._after.get(key, _NONE), found)

    def ids(self, token_ids: AnySequence[int]) -> Ids:
        """The tokens that may not follow `token_ids`."""
        if not self.words:
            return _NONE
        # A character before the word decides whether it begins there; it has at most four bytes.
        written = b"".join(self._token_bytes[i] for i in token_ids[-(self._reach + 4) :]).lower()
        found = [self._always]
        for length in range(min(self._reach, len(written) + 1)):
            begun, before = written[len(written) - length :], written[: len(written) - length]
            found.append(self._after.get((begun, False), _NONE))
            begins_word = self._after.get((begun, True))
            if begins_word is not None and not _is_letter(before.decode(errors="replace")[-1:]):
                found.append(begins_word)
        return np.concatenate(found)


@lru_cache(maxsize=4)
def _sorted_tokens(vocabulary: Vocabulary) -> tuple[list[bytes], Ids]:
    """All spellings in lower case, in order, and whose they are."""
    lower = [written.lower() for written in vocabulary.token_bytes]
    order = sorted(range(len(lower)), key=lower.__getitem__)
    return [lower[token_id] for token_id in order], np.array(order, dtype=np.int64)


def _spellings(word: str) -> Iterator[bytes]:
    """The word in lower case, and as it may also be written where bytes don't know about case."""
    for variant in (word, word.lower(), word.upper(), word.capitalize()):
        yield variant.encode().lower()


def _beginning_with(tokens: tuple[list[bytes], Ids], rest: bytes, ends_in_letter: bool) -> Ids:
    """The tokens that begin with `rest` and don't go on with a letter where that would make another word."""
    spelled, order = tokens
    if not ends_in_letter:
        return order[bisect_left(spelled, rest) : bisect_left(spelled, rest + b"\xff")]
    found = [order[bisect_left(spelled, rest + low) : bisect_left(spelled, rest + high)] for low, high in _NO_LETTERS]
    first, last = bisect_left(spelled, rest + b"\x80"), bisect_left(spelled, rest + b"\xff")
    follows = [spelled[at][len(rest) :].decode(errors="ignore")[:1] for at in range(first, last)]
    found.append(order[first:last][[not _is_letter(character) for character in follows]])
    return np.concatenate(found)


@dataclass(frozen=True, eq=False)
class _Joined:
    """All tokens' spellings in lower case with a zero byte after each; where each begins; which bytes are letters."""

    written: bytes
    starts: Ids
    codes: npt.NDArray[np.uint8]
    is_letter: npt.NDArray[np.bool_]


@lru_cache(maxsize=4)
def _joined(vocabulary: Vocabulary) -> _Joined:
    written = b"".join(spelled.lower() + b"\0" for spelled in vocabulary.token_bytes)
    starts = np.cumsum([0, *(len(spelled) + 1 for spelled in vocabulary.token_bytes)])
    codes = np.frombuffer(written, dtype=np.uint8)
    return _Joined(written, starts, codes, np.isin(codes, np.frombuffer(_ASCII_LETTERS, dtype=np.uint8)))


def _containing(vocabulary: Vocabulary, spellings: set[bytes]) -> Ids:
    """The tokens with a whole word in them that does not begin with the token."""
    found: set[int] = set()
    for spelled in spellings:
        joined = _joined(vocabulary)
        for begin in _places(joined, spelled).tolist():
            token_id = int(np.searchsorted(joined.starts, begin, side="right")) - 1
            first, last = int(joined.starts[token_id]), int(joined.starts[token_id + 1]) - 1
            if _is_whole(joined.written, begin, begin + len(spelled), first, last):
                found.add(token_id)
    return np.array(sorted(found), dtype=np.int64)


def _places(joined: _Joined, spelled: bytes) -> Ids:
    """Where `spelled` is, but for most places inside longer words: a short word has very many of these."""
    places = np.flatnonzero(joined.codes[1 : len(joined.codes) - len(spelled)] == spelled[0]) + 1
    if spelled[:1].isalnum():
        places = places[~joined.is_letter[places - 1]]
    if spelled[-1:].isalnum():
        places = places[~joined.is_letter[places + len(spelled)]]
    for offset in range(1, len(spelled)):
        places = places[joined.codes[places + offset] == spelled[offset]]
    return places


def _is_whole(joined: bytes, begin: int, end: int, first: int, last: int) -> bool:
    """Whether the word at `[begin, end)` of the token at `[first, last)` has a beginning and an end there."""
    word = joined[begin:end].decode(errors="ignore")
    before, after = joined[first:begin].decode(errors="ignore"), joined[end:last].decode(errors="ignore")
    if begin == first or (_is_letter(word[:1]) and _is_letter(before[-1:])):
        return False
    return not (_is_letter(word[-1:]) and _is_letter(after[:1]))


def _is_letter(character: str) -> bool:
    return character.isalnum()
