"""Tokens become text without half characters, and the window moves only as promised."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from generator.engine.networks.fake import fake_vocabulary
from generator.engine.scheduling.sequence import Sequence, SequenceParams
from generator.engine.tokens.detokenizer import Detokenizer
from generator.engine.tokens.vocabulary import INSIDE, Tokens, Vocabulary, units
from generator.engine.tokens.window import Window, common_prefix
from generator.engine.tokens.window_builder import build_window, pinned_head, read_tail
from generator.wire.messages import TYPED, Chunk, Piece, Rolled
from generator.wire.sampling_params import SamplingParams
from tests.generator.engine.tiny_models import tiny_vocabulary

FAKE = fake_vocabulary()
TINY = tiny_vocabulary()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


def a_sequence(size: int = 10**6) -> Sequence:
    window = Window(size, [FAKE.start_id], Tokens([], []), 0, FAKE.starts)
    return Sequence("s", "o", SequenceParams(1, SamplingParams(seed=0), 0, 0, 0), window, FAKE, budget=10**9)


@given(st.lists(st.integers(0, 255), max_size=60))
def test_any_bytes_become_what_they_decode_to(written: list[int]) -> None:
    sequence = a_sequence()
    events = [event for byte in written for event in sequence.append(byte, -1.0)]
    events += sequence.append(FAKE.start_id, -1.0)  # The end token hands over what was held.
    chunks = [event for event in events if isinstance(event, Chunk)]
    assert "".join(chunk.text for chunk in chunks) == bytes(written).decode("utf-8", "replace")
    assert [token[0] for chunk in chunks for token in chunk.tokens] == written
    for chunk in chunks:
        assert chunk.text
        assert sum(length for _, length, _ in chunk.tokens) == units(chunk.text)


@given(TEXT)
def test_a_whole_text_is_handed_over_character_by_character(text: str) -> None:
    detokenizer = Detokenizer()
    parts = [detokenizer.feed(bytes([byte])) for byte in text.encode()]
    assert "".join(parts) == text
    assert all(len(part) <= 1 for part in parts)
    assert not detokenizer.is_inside_character


@given(TEXT, st.sampled_from([FAKE, TINY]))
def test_lengths_are_those_of_the_characters_a_token_completes(text: str, vocabulary: Vocabulary) -> None:
    tokens = vocabulary.tokenize(text)
    detokenizer = Detokenizer()
    assert tokens.lengths == [units(detokenizer.feed(vocabulary.token_bytes[i])) for i in tokens.ids]
    assert b"".join(vocabulary.token_bytes[i] for i in tokens.ids).decode() == text


@given(TEXT, TEXT)
def test_text_never_becomes_a_special_token(before: str, after: str) -> None:
    for special, special_id in TINY.special.items():
        assert special_id not in TINY.tokenize(before + special + after).ids
        ids = TINY.tokenize_template(special + "{prompt}", before + special + after)
        assert ids.count(special_id) == 1
        assert ids[0] == special_id


def test_a_budget_may_be_overrun_only_to_finish_a_character() -> None:
    sequence = a_sequence()
    sequence.set_budget(1)
    assert sequence.append("🌊".encode()[0], -1.0) == []
    assert sequence.may_generate
    for byte in "🌊".encode()[1:3]:
        assert sequence.append(byte, -1.0) == []
    (chunk,) = sequence.append("🌊".encode()[3], -1.0)
    assert isinstance(chunk, Chunk)
    assert [length for _, length, _ in chunk.tokens] == [0, 0, 0, 2]
    assert not sequence.may_generate


@given(st.lists(st.integers(0, 255), min_size=1, max_size=300), st.integers(16, 64))
def test_the_base_moves_only_when_the_window_is_full(written: list[int], size: int) -> None:
    sequence = a_sequence(size)
    lengths: list[int] = []
    for byte in written:
        was_full = len(sequence.token_ids) == size
        events = sequence.append(byte, -1.0)
        lengths.append(units(Detokenizer().feed(bytes([byte]))))
        moved = [event for event in events if isinstance(event, Rolled)]
        assert bool(moved) == was_full
        assert len(sequence.token_ids) <= size
        assert sequence.token_ids[0] == FAKE.start_id
        if moved:
            assert size // 2 <= sequence.window.num_text <= size // 2 + max(3, size // 16)
            assert moved[0].base == sequence.window.base
        assert sequence.token_ids[1:] == written[len(lengths) - sequence.window.num_text : len(lengths)]
        assert sequence.window.ids().tolist() == sequence.token_ids


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
    # The base, counted in UTF-16 units from the start of the pieces, is where the window begins.
    assert units(text) - window.base == sum(window.lengths)
    available = len(read_tail(FAKE, [Piece(t) for t in before + pieces], 10**6)[0].ids)
    assert len(tokens) >= min(available, size // 2)
    fits = len(read_tail(FAKE, [Piece(t) for t in pieces], 10**6)[0].ids)
    if size // 2 <= fits <= size - len(head):
        assert window.base == 0


@given(TEXT, st.integers(0, 80), TEXT)
def test_an_edit_keeps_what_is_computed_before_it(text: str, at: int, inserted: str) -> None:
    sequence = a_sequence()
    head = [FAKE.start_id]
    sequence.revise(sequence.orders, build_window(FAKE, 1024, head, (), [Piece(text)]), 0)
    sequence.advance(len(sequence.token_ids) - 1)
    old = list(sequence.token_ids)
    sequence.revise(sequence.orders, build_window(FAKE, 1024, head, (), [Piece(text[:at] + inserted + text[at:])]), 0)
    assert sequence.num_computed <= len(sequence.token_ids) - 1
    assert sequence.token_ids[: sequence.num_computed] == old[: sequence.num_computed]
    assert sequence.num_computed == min(
        common_prefix(old, sequence.token_ids), len(old) - 1, len(sequence.token_ids) - 1
    )


@given(TEXT.filter(bool), TEXT)
def test_ids_hold_only_for_their_vocabulary_and_text(text: str, other: str) -> None:
    tokens = FAKE.tokenize(text)
    # Spelled byte by byte, as no tokenizer would: only kept if the ids are believed.
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
def test_typed_text_is_tokenized_with_the_word_of_the_model_s_it_goes_on_with(stretches: list[tuple[str, str]]) -> None:
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
            # Bytes are what no tokenizer would make of it: they are only there if the ids are believed.
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
def test_what_a_tokenizer_drops_is_not_left_out(kinds: list[str], wanted: int) -> None:
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


def _last_word(run: list[int]) -> list[int]:
    """The last tokens, from the one that begins a word on: nothing where that are more than eight, or no word."""
    for count in range(1, min(8, len(run)) + 1):
        if FAKE.token_bytes[run[-count]][:1] in (b" ", b"\n"):
            return run[-count:]
    return []


def _decoded(written: list[int]) -> list[str]:
    detokenizer = Detokenizer()
    return [detokenizer.feed(bytes([byte])) for byte in written]


def test_a_huge_text_is_read_only_at_its_end() -> None:
    text = "the river " * 200_000
    window = build_window(FAKE, 64, [FAKE.start_id], (), [Piece(text)])
    assert window.base + sum(window.lengths) == len(text)
    assert window.num_text >= 32
