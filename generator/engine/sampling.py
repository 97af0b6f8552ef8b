"""Sampling: from a row of logits to the next token, by the settings' rules in their order.

Owns what each setting does and where noise comes from. Works on numpy rows on the CPU; knows nothing of
sequences or models. Order: penalties, forbidden tokens, temperature, top-k, typical, top-p, min-p, XTC.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from generator.engine.repetition import Flags, Ids, completing_ngrams, penalize
from generator.engine.repetition import Floats as Floats
from generator.sampling_settings import SamplingSettings

# Candidates looked at first, then so many times more, before all of the vocabulary is.
_NUM_CANDIDATES, _MORE = 256, 16
# Below, single precision has no such number; it is colder than any two scores are close.
_COLDEST = 1e-30


class BrokenLogits(ArithmeticError):
    """The model computed something that is not a number."""


@dataclass(frozen=True, slots=True)
class Noise:
    """What chance depends on, and nothing else: neither batch-mates nor restarts disturb it."""

    seed: int
    attempt: int
    index: int

    def gumbel(self, token_ids: Ids) -> npt.NDArray[np.float64]:
        """Standard Gumbel noise, one value per token id: a pure function of this and the id."""
        bits = _mix(token_ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(self._key("")))
        uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53
        result: npt.NDArray[np.float64] = -np.log(-np.log(uniform))
        return result

    def coin(self) -> float:
        """A number from 0 to 1 that has nothing to do with the tokens' noise."""
        return self._key(":coin") / 2**64

    def _key(self, purpose: str) -> int:
        name = f"{self.seed}:{self.attempt}:{self.index}{purpose}"
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class Page:
    """What stands there already, as tokens, and which may not follow: `blocked` never, `banned` if others are left.
    `breakers` are tokens across which nothing counts as repeated."""

    token_ids: AnySequence[int]
    blocked: Flags
    breakers: Flags
    banned: Ids


def sample(logits: Floats, settings: SamplingSettings, noise: Noise, page: Page) -> tuple[int, float]:
    """The next token and its log-probability under the model's own distribution.

    `logits` is one row, as wide as `page.blocked`. Raises BrokenLogits."""
    peak = float(logits.max())
    if not np.isfinite(peak):
        raise BrokenLogits("The model computed values that are not numbers.")
    log_total = peak + float(np.log(np.exp(logits - peak).sum(dtype=np.float64)))
    scores = adjusted(logits, settings, page)
    if settings.temperature == 0:
        chosen = int(scores.argmax())
    else:
        # From the best down, so that however cold it is, the best stays a number.
        scores -= scores.max()
        with np.errstate(over="ignore"):
            scores /= np.float32(max(settings.temperature, _COLDEST))
        ids = candidates(scores, settings)
        if noise.coin() < settings.xtc_probability:
            ids = _without_top_choices(scores, ids, settings.xtc_threshold)
        chosen = int(ids[np.argmax(scores[ids] + noise.gumbel(ids))])
    return chosen, float(logits[chosen]) - log_total


def adjusted(logits: Floats, settings: SamplingSettings, page: Page) -> Floats:
    """The scores of all tokens after penalties, forbidden ones at minus infinity."""
    scores: Floats = logits.copy()
    if _looks_back(settings):
        history = np.asarray(page.token_ids, dtype=np.int64)
        penalize(scores, settings, history, page.breakers)
        banned = np.concatenate([page.banned, completing_ngrams(history, settings.no_repeat_ngram)])
    else:
        banned = page.banned
    scores[page.blocked] = -np.inf
    if len(banned):
        before = scores[banned]
        scores[banned] = -np.inf
        if scores.max() == -np.inf:
            scores[banned] = before  # Something must come.
    return scores


def _looks_back(settings: SamplingSettings) -> bool:
    return (
        settings.repetition_penalty != 1
        or settings.presence_penalty != 0
        or settings.frequency_penalty != 0
        or settings.dry_multiplier != 0
        or settings.no_repeat_ngram != 0
    )


def candidates(scores: Floats, settings: SamplingSettings) -> Ids:
    """The ids that top-k, typical, top-p and min-p leave, in no particular order. `scores` are log-weights."""
    # Each rule works on what the one before it left; None is all of the vocabulary.
    ids = _falling(scores, settings.top_k) if settings.top_k else None
    if settings.typical_p < 1:
        ids = _typical(scores, ids, settings.typical_p)
    if settings.top_p < 1:
        ids = _nucleus(scores, ids, settings.top_p)
    if ids is None:
        least = scores.max() + (np.log(settings.min_p) if settings.min_p else -np.inf)
        return np.flatnonzero((scores >= least) & (scores > -np.inf))
    return _above_min_p(scores, ids, settings.min_p)


def _typical(scores: Floats, ids: Ids | None, mass: float) -> Ids:
    """The fewest tokens that hold the mass, those first whose surprise is nearest to what is expected."""
    values = scores if ids is None else scores[ids]
    allowed = values > -np.inf
    logs = values - values.max()
    weights = np.exp(logs)
    logs -= np.log(weights.sum(dtype=np.float64)).astype(np.float32)
    expected = np.dot(weights[allowed], logs[allowed]) / weights.sum(dtype=np.float64)
    kept = _fewest(-np.abs(logs - expected), weights, mass)
    return kept if ids is None else ids[kept]


def _nucleus(scores: Floats, ids: Ids | None, mass: float) -> Ids:
    """The fewest tokens that hold the mass, the most probable first."""
    values = scores if ids is None else scores[ids]
    kept = _fewest(values, np.exp(values - values.max()), mass)
    return kept if ids is None else ids[kept]


def _fewest(keys: Floats, weights: Floats, mass: float) -> Ids:
    """The fewest places by falling key whose weights sum up to `mass` of all."""
    wanted = mass * weights.sum(dtype=np.float64)
    for count in (_NUM_CANDIDATES, _NUM_CANDIDATES * _MORE, len(keys)):
        order = _falling(keys, count)
        enough = np.flatnonzero(weights[order].cumsum(dtype=np.float64) >= wanted)
        if len(enough):
            return order[: enough[0] + 1]
    return order


def _without_top_choices(scores: Floats, ids: Ids, threshold: float) -> Ids:
    """XTC: of the tokens that are at least so probable, only the least probable one stays."""
    weights = np.exp(scores[ids] - scores[ids].max(), dtype=np.float64)
    is_top = weights >= threshold * weights.sum()
    if is_top.sum() < 2:
        return ids
    is_top[np.argmin(np.where(is_top, weights, np.inf))] = False
    kept: Ids = ids[~is_top]
    return kept


def _falling(scores: Floats, count: int) -> Ids:
    """Where the `count` highest scores are, highest first, without forbidden ones."""
    if count < len(scores):
        ids = np.argpartition(scores, len(scores) - count)[len(scores) - count :]
    else:
        ids = np.arange(len(scores))
    ids = ids[np.argsort(-scores[ids], kind="stable")]
    allowed: Ids = ids[scores[ids] > -np.inf]
    return allowed


def _above_min_p(scores: Floats, ids: Ids, min_p: float) -> Ids:
    if min_p == 0:
        return ids
    values = scores[ids]
    kept: Ids = ids[values >= values.max() + np.log(min_p)]
    return kept


def _mix(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A bijection of 64 bits in which every input bit moves every output bit (the splitmix64 finalizer)."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    result: npt.NDArray[np.uint64] = bits ^ (bits >> np.uint64(31))
    return result
