"""Repetition: repeated passages and n-grams are found as the plain reference finds them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.engine.sampling import repetition
from generator.engine.sampling.arrays import Flags, Floats
from generator.engine.sampling.repetition import completing_ngrams, penalize, repeats
from generator.wire.sampling_params import SamplingParams
from tests.generator.engine.sampling.sampling_reference import repeated

SIZE = 5
# Few different tokens, so that passages repeat.
HISTORY = st.integers(0, SIZE - 1).flatmap(lambda most: st.lists(st.integers(0, most), max_size=40))
OFF = SamplingParams(repetition_penalty=1, dry_multiplier=0, seed=0)


def flags(breakers: set[int]) -> Flags:
    return np.array([token_id in breakers for token_id in range(SIZE)])


def penalized(scores: list[float], params: SamplingParams, history: list[int], breakers: set[int]) -> Floats:
    changed = np.array(scores, dtype=np.float32)
    penalize(changed, params, np.array(history, dtype=np.int64), flags(breakers))
    return changed


@given(HISTORY, st.sets(st.integers(0, SIZE - 1), max_size=2), st.integers(1, 5))
def test_repeats_are_the_passages_of_the_reference_with_the_longest_last(
    history: list[int], breakers: set[int], least: int
) -> None:
    ids, lengths = repeats(np.array(history, dtype=np.int64), flags(breakers), least)
    found = dict(zip(ids.tolist(), lengths.tolist(), strict=True))
    expected = {token_id: repeated(history, token_id, breakers) for token_id in range(SIZE)}
    assert found == {token_id: length for token_id, length in expected.items() if length >= least}


def test_a_passage_is_followed_to_its_greatest_length_only(monkeypatch: pytest.MonkeyPatch) -> None:
    history = np.array([1, 2, 3, 4] * 5)
    assert max(repeats(history, flags(set()), 2)[1]) == 16
    monkeypatch.setattr(repetition, "_MAX_LENGTH", 6)
    ids, lengths = repeats(history, flags(set()), 2)
    assert set(ids.tolist()) == {1}
    assert max(lengths) == 6


@given(HISTORY, st.integers(0, 5))
def test_completing_ngrams_are_those_of_which_the_history_has_the_whole(history: list[int], size: int) -> None:
    found = set(completing_ngrams(np.array(history, dtype=np.int64), size).tolist())
    grams = {tuple(history[at : at + size]) for at in range(len(history) - size + 1)} if size else set()
    end = history[len(history) - size + 1 :] if size > 1 else []
    assert found == {token_id for token_id in range(SIZE) if len(history) >= size and (*end, token_id) in grams}


def test_the_repetition_penalty_lowers_scores_of_either_sign() -> None:
    params = OFF.merged({"repetition_penalty": 2})
    assert penalized([4, -4, 4, 0, 1], params, [0, 1, 3], set()).tolist() == [2, -8, 4, 0, 1]


def test_presence_counts_a_token_once_and_frequency_each_time() -> None:
    history = [0, 1, 0, 0]
    assert penalized([1] * SIZE, OFF.merged({"presence_penalty": 0.5}), history, set()).tolist() == [0.5, 0.5, 1, 1, 1]
    assert penalized([1] * SIZE, OFF.merged({"frequency_penalty": 0.5}), history, set()).tolist() == [
        -0.5,
        0.5,
        1,
        1,
        1,
    ]


def test_penalties_look_back_over_their_range_only() -> None:
    params = OFF.merged({"presence_penalty": 1, "penalty_range": 2})
    assert penalized([1] * SIZE, params, [0, 1, 2, 3], set()).tolist() == [1, 1, 0, 0, 1]
    assert (
        penalized([1] * SIZE, OFF.merged({"presence_penalty": 1, "penalty_range": 0}), [0], set()).tolist() == [1] * 5
    )


def test_dry_punishes_a_longer_passage_more() -> None:
    params = OFF.merged({"dry_multiplier": 1, "dry_base": 2, "dry_allowed_length": 2})
    # 4 followed 1 2 before, and 3 followed 0 1 2 before.
    history = [1, 2, 4, 0, 1, 2, 3, 0, 1, 2]
    assert penalized([9] * SIZE, params, history, set()).tolist() == [9, 9, 9, 7, 8]
    assert penalized([9] * SIZE, params, history, {0}).tolist() == [9, 9, 9, 8, 8]
    assert penalized([9] * SIZE, params, history, {1}).tolist() == [9] * SIZE
