"""Sampling: from a row of logits to the next token, by the settings' rules in their order.

Owns what each setting does and where noise comes from. Works on numpy rows on the CPU; knows nothing of
sequences or models. Order: repetition penalty, forbidden tokens, temperature, top-k, top-p, min-p.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from generator.sampling_settings import SamplingSettings

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]

# Candidates looked at before all of the vocabulary is.
_NUM_CANDIDATES = 256


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
        digest = hashlib.blake2b(f"{self.seed}:{self.attempt}:{self.index}".encode(), digest_size=8).digest()
        key = np.uint64(int.from_bytes(digest, "big"))
        bits = _mix(token_ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + key)
        uniform = ((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53
        result: npt.NDArray[np.float64] = -np.log(-np.log(uniform))
        return result


def sample(
    logits: Floats,
    settings: SamplingSettings,
    noise: Noise,
    context_ids: AnySequence[int],
    blocked: npt.NDArray[np.bool_],
) -> tuple[int, float]:
    """The next token and its log-probability under the model's own distribution.

    `logits` is one row, as wide as `blocked`. Raises BrokenLogits."""
    peak = float(logits.max())
    if not np.isfinite(peak):
        raise BrokenLogits("The model computed values that are not numbers.")
    log_total = peak + float(np.log(np.exp(logits - peak).sum(dtype=np.float64)))
    scores = logits.copy()
    if settings.repetition_penalty != 1:
        _penalize(scores, settings.repetition_penalty, context_ids)
    scores[blocked] = -np.inf
    if settings.temperature == 0:
        chosen = int(scores.argmax())
    else:
        scores /= np.float32(settings.temperature)
        ids = candidates(scores, settings)
        chosen = int(ids[np.argmax(scores[ids] + noise.gumbel(ids))])
    return chosen, float(logits[chosen]) - log_total


def candidates(scores: Floats, settings: SamplingSettings) -> Ids:
    """The ids that top-k, top-p and min-p leave, in no particular order. `scores` are log-weights."""
    if not (settings.top_k or settings.top_p < 1):
        kept = np.flatnonzero(scores > -np.inf)
        return _above_min_p(scores, kept, settings.min_p)
    wanted = settings.top_k or _NUM_CANDIDATES
    ids = _falling(scores, wanted)
    if settings.top_p < 1:
        # After top-k the distribution is that of the k; without it, of the whole vocabulary.
        nucleus = _nucleus(scores, ids, ids if settings.top_k else None, settings.top_p)
        if nucleus is None:
            ids = _falling(scores, len(scores))
            nucleus = _nucleus(scores, ids, None, settings.top_p)
        ids = ids if nucleus is None else nucleus
    return _above_min_p(scores, ids, settings.min_p)


def _penalize(scores: Floats, penalty: float, context_ids: AnySequence[int]) -> None:
    seen = np.unique(np.asarray(context_ids, dtype=np.int64))
    values = scores[seen]
    scores[seen] = np.where(values < 0, values * np.float32(penalty), values / np.float32(penalty))


def _falling(scores: Floats, count: int) -> Ids:
    """The ids of the `count` highest scores, highest first, without forbidden ones."""
    if count < len(scores):
        ids = np.argpartition(scores, len(scores) - count)[len(scores) - count :]
    else:
        ids = np.arange(len(scores))
    ids = ids[np.argsort(-scores[ids], kind="stable")]
    allowed: Ids = ids[scores[ids] > -np.inf]
    return allowed


def _nucleus(scores: Floats, ids: Ids, among: Ids | None, top_p: float) -> Ids | None:
    """The fewest of `ids` (falling) that hold `top_p` of the mass of `among`; None if all of them don't."""
    peak = scores[ids[0]]
    total = np.exp((scores if among is None else scores[among]) - peak).sum(dtype=np.float64)
    mass = np.exp(scores[ids] - peak).cumsum(dtype=np.float64) / total
    enough = np.flatnonzero(mass >= top_p)
    if len(enough) == 0 and among is None:
        return None
    return ids[: enough[0] + 1] if len(enough) else ids


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
