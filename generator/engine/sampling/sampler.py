"""Sampling: from a row of logits to the next token, by the settings' rules in their order.

Owns what each setting does and where noise comes from. Works on numpy rows on the CPU; knows nothing of
sequences or models. Order: penalties, forbidden tokens, temperature, top-k, typical, top-p, min-p, XTC.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from generator.engine.sampling.repetition import Flags, Ids, completing_ngrams, penalize
from generator.engine.sampling.repetition import Floats as Floats
from generator.wire.sampling_params import SamplingParams

# Where the best tokens are looked for: so far below the best score; of more than so many, the best first.
_REACHES, _MANY = (4.0, 12.0, math.inf), 4096
# Below, single precision has no such number; it is colder than any two scores are close.
_COLDEST = 1e-30
# What is less than every score but that of forbidden tokens.
_LOWEST = float(np.finfo(np.float32).min)
# So many numbers Python mixes faster than numpy does.
_FEW = 12
_SPREAD, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_64_BITS = 2**64 - 1
# The same as arrays, which numpy takes faster than scalars.
_SPREADS, _FIRSTS, _SECONDS, _11, _27, _30, _31 = (
    np.array(number, dtype=np.uint64) for number in (_SPREAD, _FIRST, _SECOND, 11, 27, 30, 31)
)


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
        key = self._key("")
        if len(token_ids) <= _FEW:
            return np.array([_gumbel(_mixed(token_id * _SPREAD + key & _64_BITS)) for token_id in token_ids.tolist()])
        bits = token_ids.astype(np.uint64)
        bits *= _SPREADS
        bits += np.uint64(key)
        _mix(bits)
        bits >>= _11
        noise: npt.NDArray[np.float64] = bits.astype(np.float64)
        noise += 0.5
        noise /= 2**53
        for _ in range(2):
            np.log(noise, out=noise)
            np.negative(noise, out=noise)
        return noise

    def coin(self) -> float:
        """A number from 0 to 1 that has nothing to do with the tokens' noise."""
        return self._key(":coin") / 2**64

    def _key(self, purpose: str) -> int:
        name = f"{self.seed}:{self.attempt}:{self.index}{purpose}"
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


@dataclass(frozen=True, slots=True)
class TokenHistory:
    """What stands there already, as tokens, and which may not follow: `blocked` never, `banned` if others are left.
    `breakers` are tokens across which nothing counts as repeated."""

    token_ids: Ids
    blocked: Ids
    breakers: Flags
    banned: Ids


def sample(logits: Floats, settings: SamplingParams, noise: Noise, page: TokenHistory) -> tuple[int, float]:
    """The next token and its log-probability under the model's own distribution.

    `logits` is one row, as wide as the vocabulary. Raises BrokenLogits."""
    peak = float(logits.max())
    if not math.isfinite(peak):
        raise BrokenLogits("The model computed values that are not numbers.")
    weights = logits - np.float32(peak)
    np.exp(weights, out=weights)
    log_total = peak + math.log(_total(weights))
    # Its memory is taken by the scores now: every array as wide as the vocabulary drives others from the cache.
    del weights
    scores = adjusted(logits, settings, page)
    if settings.temperature == 0:
        chosen = int(scores.argmax())
    else:
        ids, logs = candidates(scores, settings)
        if settings.xtc_probability and noise.coin() < settings.xtc_probability:
            kept = _without_top_choices(logs, settings.xtc_threshold)
            ids, logs = ids[kept], logs[kept]
        chosen = int(ids[(logs + noise.gumbel(ids)).argmax()])
    return chosen, float(logits[chosen]) - log_total


def adjusted(logits: Floats, settings: SamplingParams, page: TokenHistory) -> Floats:
    """The scores of all tokens after penalties, forbidden ones at minus infinity."""
    scores: Floats = logits.copy()
    penalize(scores, settings, page.token_ids, page.breakers)
    scores[page.blocked] = -np.inf
    banned = page.banned
    if settings.no_repeat_ngram:
        banned = np.concatenate([banned, completing_ngrams(page.token_ids, settings.no_repeat_ngram)])
    if len(banned):
        before = scores[banned]
        scores[banned] = -np.inf
        if scores.max() == -np.inf:
            scores[banned] = before  # Something must come.
    return scores


def candidates(scores: Floats, settings: SamplingParams) -> tuple[Ids, Floats]:
    """The ids that top-k, typical, top-p and min-p leave, in no particular order, and their log-weights: scores by
    temperature, from the best down, so that however cold it is, the best stays a number."""
    log_min_p = max(math.log(settings.min_p) if settings.min_p else -math.inf, _LOWEST)
    if settings.top_k or settings.typical_p < 1 or settings.top_p < 1:
        return _weighed_candidates(scores, settings, log_min_p)
    # Min-p alone needs nobody's weight but the candidates'.
    best, temperature = float(scores.max()), max(settings.temperature, _COLDEST)
    ids = _at_least(scores, max(best + log_min_p * temperature, _LOWEST))
    return ids, (scores[ids] - np.float32(best)) / np.float32(temperature)


def _weighed_candidates(scores: Floats, settings: SamplingParams, log_min_p: float) -> tuple[Ids, Floats]:
    # Each rule works on what the one before it left; None is all of the vocabulary.
    ids = _falling(scores, settings.top_k) if settings.top_k else None
    logs = scores if ids is None else scores[ids]
    with np.errstate(over="ignore"):
        logs = (logs - logs.max()) / np.float32(max(settings.temperature, _COLDEST))
    if settings.typical_p < 1:
        kept = _typical(logs, settings.typical_p)
        ids, logs = kept if ids is None else ids[kept], logs[kept] - logs[kept].max()
    # Top-p and min-p both keep the most probable: what min-p will take need not be sorted.
    is_nucleus = settings.top_p < 1
    kept = _fewest(logs, np.exp(logs), settings.top_p, log_min_p) if is_nucleus else _at_least(logs, log_min_p)
    return kept if ids is None else ids[kept], logs[kept]


def _typical(logs: Floats, mass: float) -> Ids:
    """The fewest tokens that hold the mass, those first whose surprise is nearest to what is expected."""
    weights = np.exp(logs)
    expected = np.float32(np.dot(weights, np.maximum(logs, _LOWEST)) / _total(weights))
    return _fewest(-np.abs(logs - expected), weights, mass)


def _fewest(keys: Floats, weights: Floats, mass: float, floor: float = _LOWEST) -> Ids:
    """The fewest places by falling key whose weights sum up to `mass` of all; no matter which of them are below the
    floor, these are left out."""
    wanted = mass * _total(weights)
    for places in _shortlists(keys, floor, _MANY):
        enough = _at_least(weights[places].cumsum(dtype=np.float64), wanted)
        if len(enough):
            return places[: enough[0] + 1]
    return places


def _falling(keys: Floats, count: int) -> Ids:
    """Where the `count` highest keys are, highest first."""
    for places in _shortlists(keys, _LOWEST, count):
        if len(places) >= count:
            break
    return places[:count]


def _shortlists(keys: Floats, floor: float, many: int) -> Iterator[Ids]:
    """Where the highest keys are, highest first: some of them, then more, at last all down to the floor. Of more than
    `many`, the best so many come first."""
    best = float(keys.max())
    for reach in _REACHES:
        least = max(best - reach, floor)
        is_high = keys >= least
        if np.count_nonzero(is_high) > many:
            yield _sorted(keys, keys.argpartition(-many)[-many:])
        yield _sorted(keys, is_high.nonzero()[0])
        if least == floor:
            return


def _sorted(keys: Floats, places: Ids) -> Ids:
    result: Ids = places[(-keys[places]).argsort()]
    return result


def _at_least(values: npt.NDArray[np.floating], least: float) -> Ids:
    """Where they are. Faster than `np.flatnonzero`, which looks for more dimensions."""
    return (values >= least).nonzero()[0]


def _without_top_choices(logs: Floats, threshold: float) -> Ids:
    """XTC: of the tokens that are at least so probable, only the least probable one stays."""
    weights = np.exp(logs - logs.max(), dtype=np.float64)
    is_top = weights >= threshold * weights.sum()
    if is_top.any():
        is_top[np.argmin(np.where(is_top, weights, np.inf))] = False
    return np.flatnonzero(~is_top)


def _total(weights: Floats) -> float:
    """Their sum, to a hundred-thousandth. `sum` takes twice as long, and four times as long in double precision."""
    return float(np.einsum("i->", weights))


def _mixed(bits: int) -> int:
    """A bijection of 64 bits in which every input bit moves every output bit (the splitmix64 finalizer)."""
    bits = (bits ^ bits >> 30) * _FIRST & _64_BITS
    bits = (bits ^ bits >> 27) * _SECOND & _64_BITS
    return bits ^ bits >> 31


def _gumbel(bits: int) -> float:
    return -math.log(-math.log(((bits >> 11) + 0.5) / 2**53))


def _mix(bits: npt.NDArray[np.uint64]) -> None:
    """As `_mixed` does, many numbers in place."""
    bits ^= bits >> _30
    bits *= _FIRSTS
    bits ^= bits >> _27
    bits *= _SECONDS
    bits ^= bits >> _31
