"""Banned words: they never occur, however they are split into tokens, and no other token is forbidden."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.engine.networks.fake import FakeRunner, fake_vocabulary
from generator.engine.sampling.banned_words import BannedWords
from generator.engine.scheduling import sequence
from generator.engine.tokens.vocabulary import Vocabulary
from tests.generator.engine.engine_loop import MODEL, SteppedEngine
from tests.generator.engine.engine_process import GREEDY, a_set
from tests.generator.engine.tiny_models import tiny_vocabulary

# The tokens are words, parts of words, punctuation and incomplete characters.
_PIECES = ["a", "ca", "t", "cat", " cat", "CAT", " ca", "cats", "at", " the", "the", " ", "\n", ", ", "-", "s", "old"]
_PIECES += ["caf", "é", "É", "café", " an", " old cat", "“", "”", "…"]
_BYTES = (*(piece.encode() for piece in _PIECES), "é".encode()[:1], "é".encode()[1:], "“".encode()[:2], b"\x9c", b"")
VOCABULARY = Vocabulary(_BYTES, {"<end>": len(_BYTES) - 1}, 0, frozenset(), len(_BYTES), "few", lambda text: ([], []))
WORDS = st.lists(st.sampled_from(["cat", "an old cat", "the", "café", "…", "ca-t", "a"]), max_size=3)


def text_of(token_ids: list[int]) -> str:
    return b"".join(VOCABULARY.token_bytes[i] for i in token_ids).decode(errors="replace")


def count(words: list[str], text: str) -> int:
    """Return how often the words occur as whole words. This is the reference, a regular expression."""
    found = 0
    for word in words:
        before = r"(?<![^\W_])" if word[0].isalnum() else ""
        after = r"(?![^\W_])" if word[-1].isalnum() else ""
        found += len(re.findall(f"(?=({before}{re.escape(word)}{after}))", text, re.IGNORECASE))
    return found


@given(st.lists(st.integers(0, len(_BYTES) - 1), max_size=8), WORDS)
def test_exactly_the_tokens_that_complete_a_word_are_banned(written: list[int], words: list[str]) -> None:
    banned = set(BannedWords(VOCABULARY, tuple(words)).ids(written).tolist())
    present = count(words, text_of(written))
    for token_id in range(len(_BYTES)):
        # A token that begins with a letter turns a banned word at the end of the text into another word.
        ended = count(words, text_of(written)) - count(words, text_of(written) + "x")
        completes = count(words, text_of([*written, token_id])) > present - (ended if _goes_on(token_id) else 0)
        assert (token_id in banned) == completes, (text_of(written), VOCABULARY.token_bytes[token_id])


def _goes_on(token_id: int) -> bool:
    return text_of([token_id])[:1].isalnum()


@pytest.mark.parametrize("vocabulary", [fake_vocabulary(), tiny_vocabulary()], ids=["fake", "bytes"])
def test_the_fake_and_the_byte_level_vocabulary_ban_the_last_letter_of_a_word(vocabulary: Vocabulary) -> None:
    banned = BannedWords(vocabulary, ("river",))
    spelled = {vocabulary.token_bytes[i] for i in banned.ids(vocabulary.tokenize("the old rive").ids).tolist()}
    assert b"r" in spelled
    assert not [written for written in spelled if written.strip().lower() not in (b"r", b"river")]
    assert b"r" not in {vocabulary.token_bytes[i] for i in banned.ids(vocabulary.tokenize("the old rove").ids).tolist()}


def test_each_sequence_builds_its_table_of_banned_words_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[str, ...]] = []

    def counted(vocabulary: Vocabulary, words: tuple[str, ...]) -> BannedWords:
        made.append(words)
        return BannedWords(vocabulary, words)

    monkeypatch.setattr(sequence, "BannedWords", counted)
    engine = SteppedEngine(FakeRunner())
    lists = [(f"river{number}",) for number in range(20)]
    drafts = [
        a_set("Once", sequence=str(n), model=MODEL, sampling=GREEDY.merged({"banned_words": list(words)}), budget=5)
        for n, words in enumerate(lists)
    ]
    engine.run(*drafts)
    engine.run(*(replace(draft, epoch=2) for draft in drafts))
    assert sorted(made) == sorted(lists)
    engine.run(replace(drafts[0], epoch=3, sampling=GREEDY.merged({"banned_words": ["house"]})))
    assert made[20:] == [("house",)]


def test_a_model_does_not_write_banned_words() -> None:
    def written(*words: str) -> str:
        engine = SteppedEngine(FakeRunner())
        sampling = GREEDY.merged({"banned_words": list(words)})
        engine.run(a_set("Once", model=MODEL, sampling=sampling, budget=800))
        return engine.text()

    plain = written()
    assert count(["river", "house", "the rain"], plain) > 5
    assert count(["river", "house", "the rain"], written("River", "house", "the rain")) == 0
