"""What each setting does to the distribution, against a plain reference that knows no shortcuts."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine import sampling
from generator.engine.sampling import BrokenLogits, Floats, Noise, sample
from generator.sampling_settings import SamplingSettings

PLAIN = SamplingSettings(temperature=1, top_k=0, top_p=1, min_p=0, repetition_penalty=1, seed=0)


def reference(logits: Floats, chosen: SamplingSettings, context: list[int], blocked: set[int]) -> dict[int, float]:
    """The distribution as the words of the settings describe it."""
    scores = {i: float(score) for i, score in enumerate(logits)}
    for i in set(context):
        scores[i] *= chosen.repetition_penalty if scores[i] < 0 else 1 / chosen.repetition_penalty
    scores = {i: score / chosen.temperature for i, score in scores.items() if i not in blocked}
    ranked = sorted(scores, key=lambda i: -scores[i])
    if chosen.top_k:
        ranked = ranked[: chosen.top_k]
    weights = {i: math.exp(scores[i] - scores[ranked[0]]) for i in ranked}
    total, kept, mass = sum(weights.values()), [], 0.0
    for i in ranked:
        kept.append(i)
        mass += weights[i] / total
        if mass >= chosen.top_p:
            break
    kept = [i for i in kept if weights[i] >= chosen.min_p * weights[kept[0]]]
    total = sum(weights[i] for i in kept)
    return {i: weights[i] / total for i in kept}


def blocked_row(size: int, blocked: set[int]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    row = np.zeros(size, dtype=np.bool_)
    row[list(blocked)] = True
    return row


SETTINGS = st.builds(
    SamplingSettings,
    temperature=st.sampled_from([0.3, 0.9, 1.0, 2.0]),
    top_k=st.sampled_from([0, 1, 3, 17, 1000]),
    top_p=st.sampled_from([0.0, 0.31, 0.87, 1.0]),
    min_p=st.sampled_from([0.0, 0.052, 0.37, 1.0]),
    repetition_penalty=st.sampled_from([1.0, 1.3, 2.0]),
    seed=st.just(0),
)


@given(
    seed=st.integers(0, 2**32 - 1),
    chosen=SETTINGS,
    context=st.lists(st.integers(0, 59), max_size=20),
    blocked=st.sets(st.integers(0, 59), max_size=20),
    candidates=st.sampled_from([4, 256]),
)
def test_the_candidates_are_those_of_the_reference(
    seed: int, chosen: SamplingSettings, context: list[int], blocked: set[int], candidates: int
) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, 60).astype(np.float32)
    scores = logits.copy()
    if chosen.repetition_penalty != 1:
        sampling._penalize(scores, chosen.repetition_penalty, context)
    scores[list(blocked)] = -np.inf
    before, sampling._NUM_CANDIDATES = sampling._NUM_CANDIDATES, candidates
    try:
        kept = sampling.candidates(scores / np.float32(chosen.temperature), chosen)
    finally:
        sampling._NUM_CANDIDATES = before
    assert set(kept.tolist()) == set(reference(logits, chosen, context, blocked))


@pytest.mark.parametrize(
    "chosen",
    [
        PLAIN,
        PLAIN.merged({"temperature": 0.7, "top_k": 5}),
        PLAIN.merged({"top_p": 0.8, "repetition_penalty": 1.5}),
        PLAIN.merged({"min_p": 0.1, "temperature": 1.4}),
    ],
)
def test_tokens_come_as_often_as_the_reference_says(chosen: SamplingSettings) -> None:
    logits = np.random.default_rng(3).normal(0, 1.5, 30).astype(np.float32)
    blocked = blocked_row(30, {4, 7})
    expected = reference(logits, chosen, [1, 2, 3], {4, 7})
    trials = 6000
    drawn = Counter(sample(logits, chosen, Noise(9, 0, n), [1, 2, 3], blocked)[0] for n in range(trials))
    assert set(drawn) <= set(expected)
    statistic = sum((drawn[i] - trials * p) ** 2 / (trials * p) for i, p in expected.items())
    # A chi-squared value this many deviations above its mean has a chance below one in ten million.
    freedom = max(1, len(expected) - 1)
    assert statistic < freedom + 6 * math.sqrt(2 * freedom) + 10


@given(st.integers(0, 2**53 - 1), st.integers(0, 1000), st.integers(0, 10**6), st.permutations(range(40)))
@settings(max_examples=30)
def test_noise_depends_on_nothing_but_seed_attempt_index_and_token(
    seed: int, attempt: int, index: int, order: list[int]
) -> None:
    ids = np.arange(40)
    noise = Noise(seed, attempt, index).gumbel(ids)
    assert (Noise(seed, attempt, index).gumbel(np.array(order)) == noise[order]).all()
    assert np.isfinite(noise).all()
    for other in (Noise(seed + 1, attempt, index), Noise(seed, attempt + 1, index), Noise(seed, attempt, index + 1)):
        assert (other.gumbel(ids) != noise).all()


def test_temperature_zero_is_greedy_and_the_logprob_is_the_models_own() -> None:
    logits = np.array([1.0, 3.0, 2.0, 9.0], dtype=np.float32)
    chosen = SamplingSettings(temperature=0, repetition_penalty=2, seed=0)
    token_id, logprob = sample(logits, chosen, Noise(0, 0, 0), [1], blocked_row(4, {3}))
    assert token_id == 2
    assert logprob == pytest.approx(2 - math.log(sum(math.exp(x) for x in (1, 3, 2, 9))), abs=1e-5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_broken_logits_are_refused(value: float) -> None:
    logits = np.array([0.0, value, 1.0], dtype=np.float32)
    with pytest.raises(BrokenLogits):
        sample(logits, PLAIN, Noise(0, 0, 0), [], blocked_row(3, set()))
