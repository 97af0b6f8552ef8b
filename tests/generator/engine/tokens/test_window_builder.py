"""Window builder: the window is the end of the text, typed text is tokenized whole, and model text keeps its tokens."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.engine.networks.fake import fake_vocabulary
from generator.engine.tokens.detokenizer import Detokenizer
from generator.engine.tokens.utf16 import units
from generator.engine.tokens.vocabulary import INSIDE, Tokens
from generator.engine.tokens.window_builder import PremiseTooLarge, build_window, pinned_head, read_tail
from generator.wire.messages import TYPED, Piece, Premise

FAKE = fake_vocabulary()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@given(st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=4), st.sampled_from([16, 32, 64]))
def test_a_new_window_is_the_end_of_the_text(before: list[str], pieces: list[str], size: int) -> None:
    head = pinned_head(FAKE, None, size)
    window = build_window(FAKE, size, head, [Piece(t) for t in before], [Piece(t) for t in pieces])
    tokens = window.token_ids[len(head) :]
    whole, text = "".join(before + pieces), "".join(pieces)
    seen = b"".join(FAKE.token_bytes[i] for i in tokens)
    assert whole.encode().endswith(seen)
    assert not tokens or FAKE.starts[tokens[0]] != INSIDE
    assert len(window.token_ids) <= size
    # The base, counted in UTF-16 units from the start of the pieces, is the start of the window.
    assert units(text) - window.base == sum(window.lengths)
    available = len(read_tail(FAKE, [Piece(t) for t in before + pieces], 10**6)[0].ids)
    assert len(tokens) >= min(available, size // 2)
    fits = len(read_tail(FAKE, [Piece(t) for t in pieces], 10**6)[0].ids)
    if size // 2 <= fits <= size - len(head):
        assert window.base == 0


@given(st.integers(0, 60), st.integers(0, 12), st.booleans())
def test_only_the_first_roll_of_a_window_is_early(length: int, early: int, has_text_before: bool) -> None:
    before = (Piece("." * 40),) if has_text_before else ()
    window = build_window(FAKE, 32, [FAKE.start_id], before, (Piece("." * length),), early)
    steps = 0
    while not window.is_overfull:
        window.append(46, 1)
        steps += 1
    base = window.base
    window.roll()
    assert window.num_text in (15, 16, 17)
    assert window.base > base
    assert window.limit == 32
    plain = build_window(FAKE, 32, [FAKE.start_id], before, (Piece("." * length),))
    late = 0
    while not plain.is_overfull:
        plain.append(46, 1)
        late += 1
    assert has_text_before or length >= 31 - early or late - steps == early


def test_the_head_is_the_premise_or_the_start_token() -> None:
    assert pinned_head(FAKE, None, 64) == [FAKE.start_id]
    assert pinned_head(FAKE, Premise("Write {prompt}.", "a tale"), 256) == FAKE.tokenize_template(
        "Write {prompt}.", "a tale"
    )


def test_a_premise_may_take_a_quarter_of_the_window() -> None:
    assert len(pinned_head(FAKE, Premise("{prompt}", "x" * 16), 64)) == 16
    with pytest.raises(PremiseTooLarge, match=r"takes 17 tokens, and this model allows 16\."):
        pinned_head(FAKE, Premise("{prompt}", "x" * 17), 64)


@given(TEXT.filter(bool), TEXT)
def test_ids_are_valid_only_for_their_vocabulary_and_text(text: str, other: str) -> None:
    tokens = FAKE.tokenize(text)
    # The ids spell the text byte by byte, which no tokenizer does, so they appear only if they are believed.
    written = list(text.encode())
    lengths = [units(part) for part in _decoded(written)]
    kept, _ = read_tail(FAKE, [Piece(text, tuple(written), tuple(lengths), FAKE.fingerprint)], 10**6)
    assert kept == Tokens(written, lengths)
    foreign, _ = read_tail(FAKE, [Piece(text, tuple(written), tuple(lengths), "another")], 10**6)
    assert foreign == tokens
    wrong, _ = read_tail(FAKE, [Piece(text + other + "x", tuple(written), tuple(lengths), FAKE.fingerprint)], 10**6)
    assert wrong == FAKE.tokenize(text + other + "x")
    absurd, _ = read_tail(FAKE, [Piece(text, (10**9,), (units(text),), FAKE.fingerprint)], 10**6)
    assert absurd == tokens


@given(st.lists(st.tuples(st.sampled_from(["typed", "words", "bytes"]), TEXT.filter(bool)), max_size=8))
def test_typed_text_is_tokenized_together_with_the_models_word_that_it_continues(
    stretches: list[tuple[str, str]],
) -> None:
    ids, lengths, expected, run = list[int](), list[int](), list[int](), list[int]()
    for kind, text in stretches:
        if kind == "typed":
            word = [] if text[0].isspace() else _last_word(run)
            kept = len(expected) - len(word)
            whole = b"".join(FAKE.token_bytes[token_id] for token_id in word).decode() + text
            expected[kept:], run = FAKE.tokenize(whole).ids, []
            ids.append(TYPED)
            lengths.append(units(text))
        else:
            # No tokenizer spells a text byte by byte, so such ids appear only if they are believed.
            tokens = FAKE.tokenize(text)
            if kind == "bytes":
                tokens = Tokens(list(text.encode()), [units(part) for part in _decoded(list(text.encode()))])
            run += tokens.ids
            expected += tokens.ids
            ids += tokens.ids
            lengths += tokens.lengths
    text = "".join(text for _, text in stretches)
    read, skipped = read_tail(FAKE, [Piece(text, tuple(ids), tuple(lengths), FAKE.fingerprint)], 10**6)
    assert read.ids == expected
    assert (sum(read.lengths), skipped) == (units(text), 0)


@given(st.lists(st.sampled_from(["typed", "\n", "words", "cut"]), max_size=12), st.sampled_from([3, 8, 10**6]))
def test_characters_that_a_tokenizer_drops_count_for_the_offset(kinds: list[str], wanted: int) -> None:
    drops = replace(FAKE, encode=lambda text: ([], []) if text == "\n" else FAKE.encode(text))
    texts = [{"words": " the river", "typed": " typed by them"}.get(kind, "\n") for kind in kinds]
    ids, lengths = list[int](), list[int]()
    for kind, text in zip(kinds, texts, strict=True):
        tokens = FAKE.tokenize(text) if kind == "words" else Tokens([TYPED], [units(text)])
        ids += tokens.ids
        lengths += tokens.lengths
    piece = Piece("".join(texts), tuple(ids), tuple(lengths), FAKE.fingerprint)
    read, skipped = read_tail(drops, [piece], wanted)
    left = "".join(texts)[skipped:].replace("\n", "")
    assert b"".join(drops.token_bytes[token_id] for token_id in read.ids).decode() == left
    assert skipped == 0 or len(read.ids) > wanted


def test_a_huge_text_is_read_only_at_its_end() -> None:
    text = "the river " * 200_000
    window = build_window(FAKE, 64, [FAKE.start_id], (), [Piece(text)])
    assert window.base + sum(window.lengths) == len(text)
    assert window.num_text >= 32


def _last_word(run: list[int]) -> list[int]:
    """Return the tokens from the last start of a word on, or none if there are more than eight or no start."""
    for count in range(1, min(8, len(run)) + 1):
        if FAKE.token_bytes[run[-count]][:1] in (b" ", b"\n"):
            return run[-count:]
    return []


def _decoded(written: list[int]) -> list[str]:
    detokenizer = Detokenizer()
    return [detokenizer.feed(bytes([byte])) for byte in written]
