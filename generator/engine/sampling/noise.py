"""Noise: the random numbers of one draw, as a pure function of seed, attempt, index and token id.

Neither the other items of a batch nor a restart change them. Owns the hash and the distributions. Knows nothing of
logits.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from generator.engine.sampling.arrays import Ids

# Up to this many numbers Python mixes faster than numpy.
_FEW = 12
# The splitmix64 generator: the step between two tokens' states, and the multipliers of its finalizer.
_STEP, _FIRST_MULTIPLIER, _SECOND_MULTIPLIER = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_64_BITS = 2**64 - 1
# The same numbers as arrays, which numpy combines faster than scalars.
_STEPS, _FIRST_MULTIPLIERS, _SECOND_MULTIPLIERS, _11, _27, _30, _31 = (
    np.array(number, dtype=np.uint64) for number in (_STEP, _FIRST_MULTIPLIER, _SECOND_MULTIPLIER, 11, 27, 30, 31)
)


@dataclass(frozen=True, slots=True)
class Noise:
    """The source of randomness for the token at `index` in one attempt of a sequence."""

    seed: int
    attempt: int
    index: int

    def gumbel(self, token_ids: Ids) -> npt.NDArray[np.float64]:
        """Return standard Gumbel noise, one value per token id."""
        key = self._key("")
        if len(token_ids) <= _FEW:
            return np.array([_gumbel(_mixed(token_id * _STEP + key & _64_BITS)) for token_id in token_ids.tolist()])
        bits = token_ids.astype(np.uint64)
        bits *= _STEPS
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
        """Return a uniform number from 0 to 1 that is independent of the Gumbel noise."""
        return self._key(":coin") / 2**64

    def _key(self, purpose: str) -> int:
        name = f"{self.seed}:{self.attempt}:{self.index}{purpose}"
        return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "big")


def _mixed(bits: int) -> int:
    """Return a permutation of 64 bits in which every input bit affects every output bit (splitmix64's finalizer)."""
    bits = (bits ^ bits >> 30) * _FIRST_MULTIPLIER & _64_BITS
    bits = (bits ^ bits >> 27) * _SECOND_MULTIPLIER & _64_BITS
    return bits ^ bits >> 31


def _mix(bits: npt.NDArray[np.uint64]) -> None:
    """Apply `_mixed` to each number, in place."""
    bits ^= bits >> _30
    bits *= _FIRST_MULTIPLIERS
    bits ^= bits >> _27
    bits *= _SECOND_MULTIPLIERS
    bits ^= bits >> _31


def _gumbel(bits: int) -> float:
    return -math.log(-math.log(((bits >> 11) + 0.5) / 2**53))
