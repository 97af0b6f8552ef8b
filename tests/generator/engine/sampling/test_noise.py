"""Noise: a pure function of its parameters, with the distributions that the sampler needs."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.sampling import noise as module
from generator.engine.sampling.noise import Noise

DRAWS = 20_000


@given(st.integers(0, 2**53 - 1), st.integers(0, 1000), st.integers(0, 10**6), st.permutations(range(40)))
@settings(max_examples=30)
def test_noise_depends_on_seed_attempt_index_and_token_alone(
    seed: int, attempt: int, index: int, order: list[int]
) -> None:
    ids = np.arange(40)
    noise = Noise(seed, attempt, index).gumbel(ids)
    assert (Noise(seed, attempt, index).gumbel(np.array(order)) == noise[order]).all()
    assert np.isfinite(noise).all()
    # A single number is mixed by Python, 40 numbers by numpy.
    assert noise.tolist() == pytest.approx([Noise(seed, attempt, index).gumbel(ids[i : i + 1])[0] for i in range(40)])
    for other in (Noise(seed + 1, attempt, index), Noise(seed, attempt + 1, index), Noise(seed, attempt, index + 1)):
        assert (other.gumbel(ids) != noise).all()


def test_the_bits_are_those_of_the_splitmix64_generator() -> None:
    """The expected numbers are the published test vector for the seed 1234567."""
    state, found = 1234567, []
    for _ in range(5):
        state = state + module._STEP & module._64_BITS
        found.append(module._mixed(state))
    expected = [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]
    assert found == expected
    array = np.array([1234567 + place * module._STEP & module._64_BITS for place in range(1, 6)], dtype=np.uint64)
    module._mix(array)
    assert array.tolist() == expected


def test_each_key_is_a_hash_of_the_numbers_and_the_purpose() -> None:
    """The keys never change, because drafts that continue after an update depend on them."""

    def key(text: bytes) -> int:
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")

    assert Noise(1, 2, 3).coin() == key(b"1:2:3:coin") / 2**64
    (noise,) = Noise(1, 2, 3).gumbel(np.array([0]))
    assert noise == module._gumbel(module._mixed(key(b"1:2:3")))


def test_the_noise_has_the_mean_and_variance_of_the_gumbel_distribution() -> None:
    noise = Noise(1, 2, 3).gumbel(np.arange(DRAWS))
    assert noise.mean() == pytest.approx(0.5772, abs=0.05)
    assert noise.var() == pytest.approx(math.pi**2 / 6, rel=0.05)


def test_the_coin_is_uniform_and_independent_of_the_noise() -> None:
    coins = np.array([Noise(5, 0, index).coin() for index in range(DRAWS)])
    noise = np.array([Noise(5, 0, index).gumbel(np.array([7]))[0] for index in range(DRAWS)])
    assert coins.min() >= 0
    assert coins.max() <= 1
    assert np.histogram(coins, 10, (0, 1))[0] == pytest.approx([DRAWS / 10] * 10, rel=0.1)
    assert abs(np.corrcoef(coins, noise)[0, 1]) < 0.04
