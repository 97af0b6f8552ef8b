"""The context of an order: all of the text from the base on, and token ids only for untouched model text."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.networks.fake import fake_vocabulary
from generator.engine.tokens.vocabulary import Tokens
from generator.engine.tokens.window_builder import build_window
from generator.engine_link.order import UNITS_PER_TOKEN, context_of, reachable_base
from generator.wire.messages import TYPED, Piece
from stories.draft.state import DraftState
from stories.text.changes import ChangeSet
from stories.text.update import USER, Token, Update
from stories.text.utf16 import from_units, splits_pair, to_units
from tests.stories.writers import new_state

FAKE = fake_vocabulary()
WORDS = [" the", " cat", "walk", "ed", ".", "\n\n", " 😀"]


def written(state: DraftState, words: list[int], tokenizer: str = "tokenizer") -> DraftState:
    for word in words:
        text = to_units(WORDS[word])
        end = len(state.text)
        tokens = (Token(word, len(text), -1.0),)
        update = Update("model", "model:m", ChangeSet.insert(end, end, text), tokens, tokenizer)
        state = applied(state, update)
    return state


def applied(state: DraftState, update: Update) -> DraftState:
    return replace(state, text=update.changes.apply(state.text), spans=state.spans.apply(update))


def typed(state: DraftState, at: int, text: str) -> DraftState:
    return applied(state, Update("page", USER, ChangeSet.insert(len(state.text), at, text)))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(0, len(WORDS) - 1), max_size=40),
    st.lists(st.tuples(st.integers(0, 200), st.sampled_from(["x", " y", "ing ", "\n"])), max_size=6),
    st.integers(0, 200),
    st.sampled_from([2, 8, 1024]),
)
def test_the_pieces_are_the_text_and_ids_stand_for_what_the_model_wrote(
    words: list[int], edits: list[tuple[int, str]], place: int, window: int
) -> None:
    state = written(new_state("Once"), words)
    for at, text in edits:
        at = min(at, len(state.text))
        if not splits_pair(state.text, at):
            state = typed(state, at, text)
    base = min(place, len(state.text))
    base -= splits_pair(state.text, base)
    context = context_of(state, base, window)
    assert "".join(piece.text for piece in context.pieces) == state.text[base:]
    assert state.text[:base].endswith("".join(piece.text for piece in context.before))
    assert len(context.before) <= 1
    assert len(context.pieces) <= 1
    for piece in (*context.before, *context.pieces):
        assert piece.text
        assert bool(piece.ids) == bool(piece.tokenizer) == any(index != TYPED for index in piece.ids)
        at = 0
        for index, length in zip(piece.ids, piece.lengths, strict=True):
            assert index == TYPED or to_units(WORDS[index]) == piece.text[at : at + length]
            at += length
        assert not piece.ids or at == len(piece.text)


def test_every_vocabulary_has_its_own_piece() -> None:
    state = written(new_state("A"), [0])
    state = typed(typed(state, len(state.text), " b"), 0, "c")
    state = written(written(state, [1], "another"), [2], "another")
    state = typed(state, len(state.text), "s")
    assert context_of(state, 0, None).pieces == (
        Piece("cA the b", (TYPED, 0, TYPED), (2, 4, 2), "tokenizer"),
        Piece(" catwalks", (1, 2, TYPED), (4, 4, 1), "another"),
    )
    assert context_of(new_state("A"), 0, None).pieces == (Piece("A"),)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([" river", " the", " candle", ".\n\n", " 🌊"]), min_size=200, max_size=400),
    st.lists(st.tuples(st.integers(0, 3000), st.sampled_from(["x", " y", "ing ", "\n"])), max_size=6),
    st.integers(0, 3000),
    st.booleans(),
)
def test_what_is_left_out_is_never_missed(
    words: list[str], edits: list[tuple[int, str]], place: int, in_letters: bool
) -> None:
    state = new_state("Once")
    for word in words:
        # Another model may have written it letter by letter.
        tokens = Tokens([0] * len(to_units(word)), [1] * len(to_units(word))) if in_letters else FAKE.tokenize(word)
        end, text = len(state.text), to_units(word)
        written = tuple(Token(*token, -1.0) for token in zip(tokens.ids, tokens.lengths, strict=True))
        changes = ChangeSet.insert(end, end, text)
        state = applied(
            state, Update("model", "model:m", changes, written, "another" if in_letters else FAKE.fingerprint)
        )
    for at, text in edits:
        at = min(at, len(state.text))
        if not splits_pair(state.text, at):
            state = typed(state, at, text)
    base = state.text.rfind(" ", 0, min(place, len(state.text))) + 1
    windows = []
    for whole in (False, True):
        context = context_of(state, base, 256, whole)
        before, pieces = (tuple(map(as_the_engine_gets_it, part)) for part in (context.before, context.pieces))
        windows.append(build_window(FAKE, 256, [FAKE.start_id], before, pieces))
    assert windows[0].token_ids == windows[1].token_ids
    assert windows[0].base == windows[1].base


def as_the_engine_gets_it(piece: Piece) -> Piece:
    return replace(piece, text=from_units(piece.text))


def test_what_is_sent_stays_bounded_at_any_length() -> None:
    for units in (10, 10_000, 1_000_000):
        state = new_state("word " * (units // 5))
        base = reachable_base(state, 128)
        context = context_of(state, base, 128)
        sent = sum(len(piece.text) for piece in (*context.before, *context.pieces))
        assert sent <= UNITS_PER_TOKEN * 128
        assert base == 0 or state.text[base] == " "
