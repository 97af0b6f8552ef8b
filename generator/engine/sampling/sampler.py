"""Sampler: from the logits of one item to the next token, in a fixed order of steps.

1. `process_logits` applies the logits processors, which change or forbid tokens: repetition, presence and frequency
   penalty, DRY, blocked tokens, banned words, repeated n-grams.
2. `truncate` applies the temperature and the steps that remove improbable tokens: top-k, typical, top-p, min-p.
3. `sample` applies XTC and draws a token.

To add a sampler, add a line to `process_logits` if it looks at the tokens so far, or to `truncate` if it looks at the
probabilities. Add its parameter to `generator/wire/sampling_params.py` and its definition to
`tests/generator/engine/sampling/sampling_reference.py`.

Owns the order of the steps. Works on numpy arrays on the CPU. Knows nothing of sequences or models.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from generator.engine.sampling.arrays import Flags, Floats, Ids
from generator.engine.sampling.noise import Noise
from generator.engine.sampling.repetition import completing_ngrams, penalize
from generator.engine.sampling.selection import LOWEST, at_least, fewest, highest, total
from generator.wire.sampling_params import SamplingParams

# A lower temperature may become 0 in single precision. At this one the best token always wins, because different
# scores are further apart.
_MIN_TEMPERATURE = 1e-30


class BrokenLogits(ArithmeticError):
    """The largest logit is not a finite number."""


@dataclass(frozen=True, slots=True)
class TokenHistory:
    """The tokens of the window so far, and the tokens that must not follow them.

    A `blocked` token never follows. A `banned` token follows only if no other token is left. A repetition does not
    extend across a token that is flagged in `breakers`.
    """

    token_ids: Ids
    blocked: Ids
    breakers: Flags
    banned: Ids


def sample(logits: Floats, params: SamplingParams, noise: Noise, history: TokenHistory) -> tuple[int, float]:
    """Return the next token and its log-probability in the model's own distribution, before all steps.

    `logits` is `[vocabulary]`. Raise BrokenLogits if the largest of them is not a finite number.
    """
    log_total = _log_total(logits)
    scores = process_logits(logits, params, history)
    if params.temperature == 0:
        chosen = int(scores.argmax())
    else:
        ids, logs = truncate(scores, params)
        if params.xtc_probability and noise.coin() < params.xtc_probability:
            kept = _without_top_choices(logs, params.xtc_threshold)
            ids, logs = ids[kept], logs[kept]
        # The Gumbel-max trick: the largest sum of log-weight and noise is a draw from the distribution.
        chosen = int(ids[(logs + noise.gumbel(ids)).argmax()])
    return chosen, float(logits[chosen]) - log_total


def process_logits(logits: Floats, params: SamplingParams, history: TokenHistory) -> Floats:
    """Return the scores `[vocabulary]` after the logits processors. Forbidden tokens have minus infinity.

    A processor that changes scores goes before `blocked`. A processor that forbids tokens adds them to `banned`.
    """
    scores: Floats = logits.copy()
    penalize(scores, params, history.token_ids, history.breakers)
    scores[history.blocked] = -np.inf
    banned = history.banned
    if params.no_repeat_ngram:
        banned = np.concatenate([banned, completing_ngrams(history.token_ids, params.no_repeat_ngram)])
    if len(banned):
        before = scores[banned]
        scores[banned] = -np.inf
        if scores.max() == -np.inf:
            scores[banned] = before  # No other token is left.
    return scores


def truncate(scores: Floats, params: SamplingParams) -> tuple[Ids, Floats]:
    """Return the ids of the tokens that all truncation steps keep, in any order, and their log-weights.

    A log-weight is the score minus the best score, divided by the temperature, so that the best one is 0 at any
    temperature. A new step goes between typical and top-p, and its parameter into the first condition.
    """
    temperature = max(params.temperature, _MIN_TEMPERATURE)
    log_min_p = max(math.log(params.min_p) if params.min_p else -math.inf, LOWEST)
    if not (params.top_k or params.typical_p < 1 or params.top_p < 1):
        # Min-p alone needs the weights of its candidates only.
        best = float(scores.max())
        ids = at_least(scores, max(best + log_min_p * temperature, LOWEST))
        return ids, (scores[ids] - np.float32(best)) / np.float32(temperature)
    # Each step chooses from the tokens that the steps before it kept.
    kept = highest(scores, params.top_k) if params.top_k else None
    logs = scores if kept is None else scores[kept]
    with np.errstate(over="ignore"):
        logs = (logs - logs.max()) / np.float32(temperature)
    if params.typical_p < 1:
        chosen = _typical(logs, params.typical_p)
        kept, logs = _narrowed(kept, chosen), logs[chosen] - logs[chosen].max()
    # Top-p and min-p both keep the most probable tokens, so top-p need not sort the tokens that min-p removes.
    is_nucleus = params.top_p < 1
    chosen = fewest(logs, np.exp(logs), params.top_p, log_min_p) if is_nucleus else at_least(logs, log_min_p)
    return _narrowed(kept, chosen), logs[chosen]


def _narrowed(kept: Ids | None, chosen: Ids) -> Ids:
    """Return the ids at the `chosen` places of `kept`. None is the whole vocabulary."""
    return chosen if kept is None else kept[chosen]


def _typical(logs: Floats, mass: float) -> Ids:
    """Locally typical sampling: the fewest places that hold the mass, those with a surprise near the entropy first."""
    weights = np.exp(logs)
    expected = np.float32(np.dot(weights, np.maximum(logs, LOWEST)) / total(weights))
    return fewest(-np.abs(logs - expected), weights, mass)


def _without_top_choices(logs: Floats, threshold: float) -> Ids:
    """XTC: all places, except the most probable at or above the threshold. The least probable of these stays."""
    weights = np.exp(logs - logs.max(), dtype=np.float64)
    is_top = weights >= threshold * weights.sum()
    if is_top.any():
        is_top[np.argmin(np.where(is_top, weights, np.inf))] = False
    return np.flatnonzero(~is_top)


def _log_total(logits: Floats) -> float:
    """Return the logarithm of the sum of the exponentials of the logits. Raise BrokenLogits."""
    peak = float(logits.max())
    if not math.isfinite(peak):
        raise BrokenLogits("The model computed values that are not numbers.")
    # `sample` frees this array before it copies the scores: each array as wide as the vocabulary pushes others out of
    # the CPU's cache.
    weights = logits - np.float32(peak)
    np.exp(weights, out=weights)
    return peak + math.log(total(weights))
