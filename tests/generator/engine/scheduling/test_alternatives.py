"""Alternatives: the token at a place in the text, the window before it, and the options of a distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.engine.networks.fake import fake_vocabulary
from generator.engine.scheduling.alternatives import NOWHERE, NUM_OPTIONS, TokenPlace, choose_options, find_place
from generator.engine.tokens.utf16 import Utf16Text, units
from generator.engine.tokens.window_builder import PremiseTooLarge
from generator.wire.messages import Alternatives, ModelSpec, Piece, Premise

FAKE = fake_vocabulary()
SPEC = ModelSpec("fake", "instant")
TEXT = st.lists(st.sampled_from([" the", " river", "a", "é", "🌊", "\n"]), max_size=20).map("".join)


def question(*texts: str, at: int, before: str = "", premise: Premise | None = None) -> Alternatives:
    pieces = tuple(Piece(text) for text in texts)
    return Alternatives("r", "s", SPEC, premise, (Piece(before),) if before else (), pieces, at)


@given(st.lists(TEXT, max_size=3).filter(any), st.data())
def test_the_place_is_the_token_that_covers_the_unit(texts: list[str], data: st.DataObject) -> None:
    whole = "".join(texts)
    at = data.draw(st.integers(0, units(whole) - 1))
    place, window = find_place(FAKE, 10**6, question(*texts, at=at))
    assert place.start <= at < place.end
    assert Utf16Text(whole).cut(place.start, place.end) == place.text
    before = b"".join(FAKE.token_bytes[token_id] for token_id in window.token_ids[1:])
    assert before.decode() == Utf16Text(whole).cut(0, place.start)
    assert place.token_id is not None
    assert place.text.encode().startswith(FAKE.token_bytes[place.token_id])


@given(TEXT)
def test_the_place_at_the_end_of_the_text_has_no_token(text: str) -> None:
    place, window = find_place(FAKE, 10**6, question(text, at=units(text)))
    assert place == TokenPlace(units(text), units(text), "", None)
    assert b"".join(FAKE.token_bytes[i] for i in window.token_ids[1:]).decode() == text


def test_a_place_at_the_start_of_the_pieces_has_the_text_before_them_in_its_window() -> None:
    _, window = find_place(FAKE, 64, question("the sea", at=0, before="once upon a time"))
    assert b"".join(FAKE.token_bytes[i] for i in window.token_ids[1:]).decode() == "once upon a time"


def test_the_window_of_a_late_place_rolls() -> None:
    text = "x" * 200
    place, window = find_place(FAKE, 64, question(text, at=150))
    assert (place.start, place.end) == (150, 151)
    assert len(window.token_ids) <= 64
    assert window.base + window.num_text == 150


def test_a_premise_leads_the_window_and_may_be_too_large() -> None:
    _, window = find_place(FAKE, 64, question("a", at=1, premise=Premise("{prompt}", "xy")))
    assert bytes(window.token_ids) == b"xya"
    with pytest.raises(PremiseTooLarge):
        find_place(FAKE, 64, question("a", at=1, premise=Premise("{prompt}", "x" * 17)))


def test_options_are_the_most_probable_texts_and_the_present_token() -> None:
    logits = np.zeros(FAKE.size, dtype=np.float32)
    logits[[ord("b"), ord("c")]] = 5, 6
    logits[FAKE.start_id] = 9  # The end token is blocked.
    logits[0xF0] = 8  # The first byte of a character is not a text.
    present = TokenPlace(3, 4, "q", ord("q"))
    options = choose_options(FAKE, logits, present)
    weights = np.exp(logits.astype(np.float64))
    assert len(options) == NUM_OPTIONS
    assert [text for text, _ in options[:2]] == ["c", "b"]
    assert dict(options)["c"] == pytest.approx(weights[ord("c")] / weights.sum())
    assert dict(options)["q"] == pytest.approx(weights[ord("q")] / weights.sum())
    assert "q" not in dict(choose_options(FAKE, logits, NOWHERE))
