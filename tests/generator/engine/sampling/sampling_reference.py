"""The reference of the sampler: every parameter by its definition, in plain Python with dicts and without shortcuts.

Add the definition of a new sampler here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence as AnySequence

from generator.wire.sampling_params import SamplingParams

Weights = dict[int, float]


def distribution(
    logits: AnySequence[float], chosen: SamplingParams, context: list[int], blocked: set[int], breakers: set[int]
) -> Weights:
    """Return the probabilities with which the next token is drawn."""
    scores = adjusted(logits, chosen, context, blocked, breakers)
    weights = normal({i: math.exp((s - max(scores.values())) / chosen.temperature) for i, s in scores.items()})
    if chosen.top_k:
        weights = normal({i: weights[i] for i in ranked(weights)[: chosen.top_k]})
    if chosen.typical_p < 1:
        weights = typical(weights, chosen.typical_p)
    if chosen.top_p < 1:
        weights = until(weights, ranked(weights), chosen.top_p)
    best = max(weights.values())
    weights = normal({i: weight for i, weight in weights.items() if weight >= chosen.min_p * best})
    return xtc(weights, chosen.xtc_probability, chosen.xtc_threshold)


def adjusted(
    logits: AnySequence[float], chosen: SamplingParams, context: list[int], blocked: set[int], breakers: set[int]
) -> Weights:
    """Return the scores of the tokens that the logits processors allow."""
    scores = {i: float(score) for i, score in enumerate(logits)}
    recent = context[len(context) - min(len(context), chosen.penalty_range) :]
    for i in set(recent):
        scores[i] *= chosen.repetition_penalty if scores[i] < 0 else 1 / chosen.repetition_penalty
        scores[i] -= chosen.presence_penalty + chosen.frequency_penalty * recent.count(i)
    for i in scores:
        length = repeated(context, i, breakers)
        if chosen.dry_multiplier and length >= chosen.dry_allowed_length:
            scores[i] -= chosen.dry_multiplier * chosen.dry_base ** (length - chosen.dry_allowed_length)
    allowed = {i: score for i, score in scores.items() if i not in blocked}
    n = chosen.no_repeat_ngram
    grams = {tuple(context[at : at + n]) for at in range(len(context) - n + 1)} if n else set()
    fresh = {i: s for i, s in allowed.items() if (*context[len(context) - n + 1 :], i) not in grams or len(context) < n}
    return fresh or allowed


def repeated(context: list[int], token: int, breakers: set[int]) -> int:
    """Return the length of the longest passage that ends the context and that `token` followed earlier.

    The passage contains no breaker, and `token` is none.
    """
    longest = 0
    for at in range(1, len(context)):
        if context[at] != token or token in breakers:
            continue
        length = 0
        while (
            length < at
            and context[at - 1 - length] == context[len(context) - 1 - length]
            and context[at - 1 - length] not in breakers
        ):
            length += 1
        longest = max(longest, length)
    return longest


def typical(weights: Weights, mass: float) -> Weights:
    """Locally typical sampling (Meister et al. 2022): the fewest tokens that reach the mass, nearest to the entropy."""
    entropy = -sum(p * math.log(p) for p in weights.values() if p > 0)
    order = sorted(weights, key=lambda i: abs(-math.log(weights[i]) - entropy) if weights[i] else math.inf)
    return until(weights, order, mass)


def xtc(weights: Weights, probability: float, threshold: float) -> Weights:
    """With this probability, remove all tokens at or above the threshold except the least probable of them."""
    above = [i for i in ranked(weights) if weights[i] >= threshold]
    without = normal({i: weight for i, weight in weights.items() if i not in above[:-1]})
    return {i: (1 - probability) * weights[i] + probability * without.get(i, 0) for i in weights}


def ranked(weights: Weights) -> list[int]:
    return sorted(weights, key=lambda i: -weights[i])


def until(weights: Weights, order: list[int], mass: float) -> Weights:
    """Return the first tokens of `order` that together reach the mass."""
    kept: Weights = {}
    for i in order:
        kept[i] = weights[i]
        if sum(kept.values()) >= mass:
            break
    return normal(kept)


def normal(weights: Weights) -> Weights:
    total = sum(weights.values())
    return {i: weight / total for i, weight in weights.items()}
