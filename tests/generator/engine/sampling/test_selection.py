"""Selection: the shortlists find the places that sorting the whole array finds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.engine.sampling import selection
from generator.engine.sampling.arrays import Floats
from generator.engine.sampling.selection import LOWEST, at_least, fewest, highest, total

# Distinct keys, so that the order is unique. Some are forbidden.
KEYS = st.lists(st.integers(-40, 40), min_size=1, max_size=30, unique=True).map(
    lambda numbers: np.array([-math.inf if number < -35 else number / 4 for number in numbers], dtype=np.float32)
)
REACHES = st.sampled_from([(0.5, 1.0, 3.0, math.inf), (4.0, 12.0, math.inf)])


def by_falling_key(keys: Floats) -> list[int]:
    return sorted((place for place in range(len(keys)) if keys[place] > -math.inf), key=lambda place: -keys[place])


@given(KEYS.filter(lambda keys: keys.max() > -math.inf), st.integers(1, 40), REACHES)
def test_the_highest_are_the_first_after_sorting(keys: Floats, count: int, reaches: tuple[float, ...]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_REACHES", reaches)
        assert highest(keys, count).tolist() == by_falling_key(keys)[:count]


@given(
    KEYS.filter(lambda keys: keys.max() > -math.inf),
    st.floats(0, 1),
    st.sampled_from([LOWEST, -3.1, 0.1]),
    REACHES,
    st.sampled_from([2, 4096]),
)
def test_the_fewest_places_reach_the_mass_and_are_above_the_floor(
    keys: Floats, mass: float, floor: float, reaches: tuple[float, ...], max_sorted: int
) -> None:
    weights = np.exp(keys - keys.max())
    order, expected, reached = by_falling_key(keys), [], 0.0
    for place in order:
        expected.append(place)
        reached += float(weights[place])
        # An equality within the precision of the sum may be decided in either way.
        if abs(reached - mass * weights.sum()) < 1e-4:
            return
        if reached >= mass * weights.sum():
            break
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "_REACHES", reaches)
        patch.setattr(selection, "_MAX_SORTED", max_sorted)
        found = fewest(keys, weights, mass, floor).tolist()
    if keys.max() >= floor:
        assert found == [place for place in expected if keys[place] >= floor]


@given(st.lists(st.floats(-5, 5, width=32), min_size=1), st.floats(-5, 5))
def test_at_least_returns_the_places_of_large_values(values: list[float], least: float) -> None:
    assert at_least(np.array(values), least).tolist() == [place for place, v in enumerate(values) if v >= least]


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 7, 1000, 50257]))
def test_the_total_is_exact_to_a_hundred_thousandth(seed: int, size: int) -> None:
    weights = np.random.default_rng(seed).random(size, dtype=np.float32)
    assert total(weights) == pytest.approx(math.fsum(weights.tolist()), rel=1e-5)
