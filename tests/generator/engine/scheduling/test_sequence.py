"""Sequence: tokens become complete characters, an edit keeps the computed prefix, and the phase follows the budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from generator.engine.networks.fake import fake_vocabulary
from generator.engine.scheduling.sequence import Phase, Sequence, SequenceParams
from generator.engine.tokens.detokenizer import Detokenizer
from generator.engine.tokens.utf16 import units
from generator.engine.tokens.vocabulary import Tokens
from generator.engine.tokens.window import Window, common_prefix
from generator.engine.tokens.window_builder import build_window
from generator.wire.messages import Chunk, Ended, Failed, Piece, Rolled
from generator.wire.sampling_params import SamplingParams

FAKE = fake_vocabulary()
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


def a_sequence(size: int = 10**6, length: int = 0, budget: int = 10**9) -> Sequence:
    window = Window(size, [FAKE.start_id], Tokens([65] * length, [1] * length), 0, FAKE.starts)
    return Sequence("s", "o", SequenceParams(1, SamplingParams(seed=0), 0, 0, 0), window, FAKE, budget)


def a_window(text: str) -> Window:
    return build_window(FAKE, 1024, [FAKE.start_id], (), [Piece(text)])


@given(st.lists(st.integers(0, 255), max_size=60))
def test_any_bytes_become_the_text_that_they_decode_to(written: list[int]) -> None:
    sequence = a_sequence()
    events = [event for byte in written for event in sequence.append(byte, -1.0)]
    events += sequence.append(FAKE.start_id, -1.0)  # The end token releases the held tokens.
    chunks = [event for event in events if isinstance(event, Chunk)]
    assert "".join(chunk.text for chunk in chunks) == bytes(written).decode("utf-8", "replace")
    assert [token[0] for chunk in chunks for token in chunk.tokens] == written
    for chunk in chunks:
        assert chunk.text
        assert sum(length for _, length, _ in chunk.tokens) == units(chunk.text)


def test_a_budget_is_exceeded_only_to_finish_a_character() -> None:
    sequence = a_sequence(budget=1)
    wave = "🌊".encode()
    sequence.advance(1)
    for byte in wave[:3]:
        assert sequence.append(byte, -1.0) == []
        assert sequence.phase is Phase.DECODE
        sequence.advance(1)
    (chunk,) = sequence.append(wave[3], -1.0)
    assert isinstance(chunk, Chunk)
    assert [length for _, length, _ in chunk.tokens] == [0, 0, 0, 2]
    assert sequence.phase is Phase.PAUSED


@given(st.lists(st.integers(0, 255), min_size=1, max_size=300), st.integers(16, 64))
def test_the_base_of_the_window_moves_only_when_the_window_is_full(written: list[int], size: int) -> None:
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


@given(TEXT, st.integers(0, 80), TEXT)
def test_an_edit_keeps_the_computed_tokens_before_it(text: str, at: int, inserted: str) -> None:
    sequence = a_sequence()
    sequence.set_context(sequence.params, a_window(text), 0)
    sequence.advance(len(sequence.token_ids) - 1)
    old = list(sequence.token_ids)
    sequence.set_context(sequence.params, a_window(text[:at] + inserted + text[at:]), 0)
    assert sequence.num_computed <= len(sequence.token_ids) - 1
    assert sequence.token_ids[: sequence.num_computed] == old[: sequence.num_computed]
    assert sequence.num_computed == min(
        common_prefix(old, sequence.token_ids), len(old) - 1, len(sequence.token_ids) - 1
    )


@given(st.integers(0, 20), st.integers(0, 3), st.integers(0, 21))
def test_the_phase_is_the_number_of_tokens_that_the_budget_lets_it_compute(
    length: int, budget: int, computed: int
) -> None:
    sequence = a_sequence(length=length, budget=budget)
    wanted = length + 1 if budget else length  # Without budget the last token waits for its logits to be wanted.
    if min(computed, wanted):
        sequence.advance(min(computed, wanted))
    expected = {0: Phase.PAUSED, 1: Phase.DECODE}.get(wanted - min(computed, wanted), Phase.PREFILL)
    assert sequence.phase is expected


def test_a_budget_of_zero_pauses_an_unfinished_prefill() -> None:
    sequence = a_sequence(length=40)
    sequence.advance(8)
    sequence.set_budget(0)
    assert sequence.phase is Phase.PAUSED
    sequence.set_budget(1)
    assert (sequence.phase, sequence.num_pending) == (Phase.PREFILL, 33)


def test_a_sequence_that_has_ended_or_failed_stops_until_its_next_context() -> None:
    ended, failed = a_sequence(), a_sequence(length=9)
    assert ended.append(FAKE.start_id, -1.0) == [Ended("s", 1)]
    failed.advance(10)
    assert failed.fail("It broke.") == Failed("s", 1, "It broke.")
    assert failed.num_computed == 0
    for sequence in (ended, failed):
        sequence.set_budget(10**9)
        assert (sequence.phase, sequence.num_pending) == (Phase.STOPPED, 0)
        sequence.set_context(sequence.params, a_window("Once upon"), 5)
        assert sequence.phase is Phase.PREFILL


def test_a_context_counts_as_edited_until_it_is_computed() -> None:
    sequence = a_sequence(length=4)
    assert not sequence.is_edited
    sequence.set_context(sequence.params, a_window("x" * 10), 5)
    sequence.advance(4)
    assert sequence.is_edited
    sequence.advance(sequence.num_pending)
    assert not sequence.is_edited


def test_an_end_is_allowed_from_the_minimum_length_of_the_run_on() -> None:
    sampling = SamplingParams(seed=0, stop_at_end=True, min_length=5)
    sequence = a_sequence()
    sequence.params = SequenceParams(1, sampling, 0, 7, 3)
    assert (sequence.may_end, sequence.next_index) == (False, 7)
    for _ in range(2):
        sequence.append(65, -1.0)
    assert (sequence.may_end, sequence.next_index) == (True, 9)
    sequence.params = SequenceParams(1, SamplingParams(seed=0), 0, 7, 3)
    assert not sequence.may_end


def test_banned_words_follow_the_settings_of_the_epoch() -> None:
    sequence = a_sequence(length=3)
    assert sequence.banned_ids().tolist() == []
    banned = SamplingParams(seed=0).merged({"banned_words": ["the"]})
    sequence.set_context(SequenceParams(2, banned, 0, 0, 0), a_window("near"), 5)
    assert [FAKE.token_bytes[token_id] for token_id in sequence.banned_ids()] == [b" the"]
