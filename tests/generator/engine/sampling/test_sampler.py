"""Sampler: each parameter changes the distribution exactly as the plain reference says."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Set as AnySet
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.sampling import selection
from generator.engine.sampling.arrays import NO_IDS, Flags, Ids
from generator.engine.sampling.noise import Noise
from generator.engine.sampling.sampler import BrokenLogits, TokenHistory, process_logits, sample, truncate
from generator.wire.sampling_params import RANGES, SamplingParams
from tests.generator.engine.sampling import sampling_reference as reference
from tests.generator.engine.sampling.sampling_reference import distribution

PLAIN = SamplingParams(temperature=1, top_k=0, top_p=1, min_p=0, repetition_penalty=1, dry_multiplier=0, seed=0)
SIZE = 60


def flags(size: int, ids: AnySet[int]) -> Flags:
    row = np.zeros(size, dtype=np.bool_)
    row[list(ids)] = True
    return row


def a_history(
    context: list[int], size: int, blocked: AnySet[int] = frozenset(), breakers: AnySet[int] = frozenset()
) -> TokenHistory:
    return TokenHistory(ids_of(context), ids_of(sorted(blocked)), flags(size, breakers), NO_IDS)


def ids_of(token_ids: list[int]) -> Ids:
    return np.array(token_ids, dtype=np.int64)


TRUNCATING = st.builds(
    SamplingParams,
    temperature=st.sampled_from([0.3, 0.9, 1.0, 2.0]),
    # Each step is often off, so that each is often alone.
    top_k=st.just(0) | st.sampled_from([1, 3, 17, 1000]),
    typical_p=st.just(1.0) | st.sampled_from([0.0, 0.22, 0.93]),
    top_p=st.just(1.0) | st.sampled_from([0.0, 0.31, 0.87]),
    min_p=st.sampled_from([0.0, 0.052, 0.37, 1.0]),
    repetition_penalty=st.sampled_from([1.0, 1.3]),
    dry_multiplier=st.sampled_from([0.0, 0.8]),
    seed=st.just(0),
)
LOOKING_BACK = st.builds(
    SamplingParams,
    repetition_penalty=st.sampled_from([1.0, 1.3, 2.0]),
    presence_penalty=st.sampled_from([0.0, -0.5, 1.5]),
    frequency_penalty=st.sampled_from([0.0, -0.3, 0.7]),
    penalty_range=st.sampled_from([0, 1, 7, 1024]),
    dry_multiplier=st.sampled_from([0.0, 0.8]),
    dry_base=st.sampled_from([1.0, 1.75]),
    dry_allowed_length=st.sampled_from([1, 2, 4]),
    no_repeat_ngram=st.sampled_from([0, 1, 2, 4]),
)


@given(
    seed=st.integers(0, 2**32 - 1),
    chosen=TRUNCATING,
    context=st.lists(st.integers(0, SIZE - 1), max_size=20),
    blocked=st.sets(st.integers(0, SIZE - 1), max_size=20),
    reaches=st.sampled_from([(0.5, 1.0, 3.0, math.inf), selection._REACHES]),
    max_sorted=st.sampled_from([4, selection._MAX_SORTED]),
)
@settings(max_examples=300)
def test_truncation_keeps_the_tokens_and_weights_of_the_reference(
    seed: int,
    chosen: SamplingParams,
    context: list[int],
    blocked: set[int],
    reaches: tuple[float, ...],
    max_sorted: int,
) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, SIZE).astype(np.float32)
    scores = process_logits(logits, chosen, a_history(context, SIZE, blocked))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_REACHES", reaches)
        patch.setattr(selection, "_MAX_SORTED", max_sorted)
        kept, logs = truncate(scores, chosen)
    expected = distribution(logits.tolist(), chosen, context, blocked, set())
    weights = np.exp(logs, dtype=np.float64)
    assert len(set(kept.tolist())) == len(kept)
    assert dict(zip(kept.tolist(), weights / weights.sum(), strict=True)) == pytest.approx(expected, rel=1e-4)


# The context has few different tokens, so that many passages repeat.
@given(
    seed=st.integers(0, 2**32 - 1),
    chosen=LOOKING_BACK,
    context=st.integers(0, 4).flatmap(lambda most: st.lists(st.integers(0, most), max_size=40)),
    blocked=st.sets(st.integers(0, 6), max_size=2),
    breakers=st.sets(st.integers(0, 4), max_size=2),
)
@settings(max_examples=300)
def test_logits_processors_give_the_scores_of_the_reference(
    seed: int, chosen: SamplingParams, context: list[int], blocked: set[int], breakers: set[int]
) -> None:
    logits = np.random.default_rng(seed).normal(0, 2, 7).astype(np.float32)
    scores = process_logits(logits, chosen, a_history(context, 7, blocked, breakers))
    expected = reference.adjusted(logits.tolist(), chosen, context, blocked, breakers)
    assert {i: score for i, score in enumerate(scores.tolist()) if score > -np.inf} == pytest.approx(
        expected, rel=1e-4, abs=1e-4
    )


LEVELS = st.sampled_from([-150.0, -1.0, 0.0, 90.0])
CONTEXT = [1, 2, 9, 8, 1, 2, 0, 9, 1, 2]


@pytest.mark.parametrize(
    "chosen",
    [
        PLAIN,
        PLAIN.merged({"temperature": 0.7, "top_k": 5}),
        PLAIN.merged({"top_p": 0.8, "repetition_penalty": 1.5}),
        PLAIN.merged({"min_p": 0.1, "temperature": 1.4}),
        PLAIN.merged({"typical_p": 0.6}),
        PLAIN.merged({"presence_penalty": 1, "frequency_penalty": -0.5, "penalty_range": 6}),
        PLAIN.merged({"dry_multiplier": 1.2}),
        PLAIN.merged({"xtc_probability": 0.6, "xtc_threshold": 0.05}),
        PLAIN.merged({"no_repeat_ngram": 3}),
    ],
    ids=lambda chosen: ", ".join(name for name in RANGES if getattr(chosen, name) != getattr(PLAIN, name)) or "plain",
)
def test_tokens_are_drawn_as_often_as_the_reference_says(chosen: SamplingParams) -> None:
    logits = np.random.default_rng(3).normal(0, 1.5, 30).astype(np.float32)
    history = a_history(CONTEXT, 30, blocked={4, 7})
    expected = distribution(logits.tolist(), chosen, CONTEXT, {4, 7}, set())
    trials = 6000
    drawn = Counter(sample(logits, chosen, Noise(9, 0, n), history)[0] for n in range(trials))
    assert set(drawn) <= set(expected)
    statistic = sum((drawn[i] - trials * p) ** 2 / (trials * p) for i, p in expected.items() if p)
    # The probability of a larger chi-squared value is below one in ten million.
    freedom = max(1, len(expected) - 1)
    assert statistic < freedom + 6 * math.sqrt(2 * freedom) + 10
    if chosen != PLAIN:
        plain = distribution(logits.tolist(), PLAIN, CONTEXT, {4, 7}, set())
        assert sum(abs(plain[i] - expected.get(i, 0)) for i in plain) > 0.05, "the parameter changes nothing here"


@given(st.integers(0, 2**32 - 1), LOOKING_BACK, st.lists(st.integers(0, 4), max_size=30), st.integers(0, 30))
def test_scores_depend_on_the_present_tokens_alone(
    seed: int, chosen: SamplingParams, context: list[int], cut: int
) -> None:
    """Neither a restart nor text that an edit has removed leaves a trace."""
    logits = np.random.default_rng(seed).normal(0, 2, 7).astype(np.float32)
    history = a_history(context, 7)
    process_logits(logits, chosen, a_history([*context[:cut], 4, *context[cut:]], 7))
    first, again = (process_logits(logits, chosen, history) for _ in range(2))
    assert (first == process_logits(logits, chosen, a_history(list(context), 7))).all()
    assert (first == again).all()


def test_a_banned_token_follows_only_if_no_other_token_is_left() -> None:
    logits = np.array([3.0, 2.0, 1.0], dtype=np.float32)
    greedy = PLAIN.merged({"temperature": 0})
    for banned, blocked, expected in (([0], set(), 1), ([0, 1], set(), 2), ([0, 1, 2], set(), 0), ([0], {1, 2}, 0)):
        history = TokenHistory(NO_IDS, ids_of(sorted(blocked)), flags(3, set()), np.array(banned))
        assert sample(logits, greedy, Noise(0, 0, 0), history)[0] == expected


def test_temperature_zero_is_greedy_and_the_log_probability_is_the_models_own() -> None:
    logits = np.array([1.0, 3.0, 2.0, 9.0], dtype=np.float32)
    chosen = SamplingParams(temperature=0, repetition_penalty=2, dry_multiplier=0, seed=0)
    token_id, logprob = sample(logits, chosen, Noise(0, 0, 0), a_history([1], 4, blocked={3}))
    assert token_id == 2
    assert logprob == pytest.approx(2 - math.log(sum(math.exp(x) for x in (1, 3, 2, 9))), abs=1e-5)


@given(
    st.sampled_from([5e-324, 1e-45, 1e-38, 1e-20, 0.01, 2.0]),
    st.sampled_from([{}, {"top_k": 3}, {"top_p": 0.4}, {"typical_p": 0.4}, {"min_p": 0.5}, {"xtc_probability": 1.0}]),
    LEVELS,
)
def test_a_probable_token_is_drawn_at_any_low_temperature(
    temperature: float, rule: dict[str, Any], level: float
) -> None:
    """Also if all scores are far below or above zero."""
    chosen = replace(PLAIN, temperature=temperature, **rule)
    logits = np.array([level - 3, level, level - 1, level - 2], dtype=np.float32)
    token_id, _ = sample(logits, chosen, Noise(0, 0, 0), a_history([], 4))
    assert token_id == 1 or temperature > 1


@given(
    value=st.sampled_from([math.nan, math.inf]),
    size=st.sampled_from([1, 3, 64, 1000]),
    place=st.floats(0, 1, exclude_max=True),
    is_blocked=st.booleans(),
    rule=st.sampled_from([{}, {"temperature": 0.0}, {"top_p": 0.5}, {"repetition_penalty": 1.5}]),
)
def test_broken_logits_are_refused(
    value: float, size: int, place: float, is_blocked: bool, rule: dict[str, Any]
) -> None:
    logits = np.linspace(-1, 1, size, dtype=np.float32)
    broken = int(place * size)
    logits[broken] = value
    history = a_history([broken], size, blocked={broken} if is_blocked else set())
    with pytest.raises(BrokenLogits):
        sample(logits, replace(PLAIN, **rule), Noise(0, 0, 0), history)


@given(st.integers(0, 2**32 - 1), st.sampled_from([2, 377, 50257]), st.sampled_from([0.0, 0.01, 3.0, 15.0]), LEVELS)
@settings(max_examples=40, deadline=None)
def test_the_log_probability_is_exact_for_any_width_of_the_vocabulary(
    seed: int, size: int, spread: float, level: float
) -> None:
    logits = np.random.default_rng(seed).normal(level, spread, size).astype(np.float32)
    token_id, logprob = sample(logits, PLAIN, Noise(seed, 0, 0), a_history([], size))
    double = logits.astype(np.float64)
    expected = double[token_id] - double.max() - math.log(np.exp(double - double.max()).sum())
    assert logprob == pytest.approx(expected, abs=2e-5)


@given(st.integers(0, 2**32 - 1), TRUNCATING, st.sampled_from([0.0, 0.5]), st.integers(0, 39))
def test_the_only_token_left_is_drawn(seed: int, chosen: SamplingParams, xtc: float, left: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 5, 40).astype(np.float32)
    history = a_history([left] * 3, 40, blocked=set(range(40)) - {left})
    for temperature in (0.0, 5e-324, chosen.temperature):
        settled = replace(chosen, temperature=temperature, xtc_probability=xtc)
        assert sample(logits, settled, Noise(seed, 0, 0), history)[0] == left
