"""Models in 8 bits: whatever is asked of them, they compute what the exact ones do, but for the error of rounding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.engine.int8.network import Int8Network
from generator.engine.model_runner import ModelRunner
from generator.engine.packed_network import PackedNetwork
from generator.engine.runner import Row
from tests.generator.engine.test_packed_network import SLOTS, STEPS, WINDOW
from tests.generator.engine.tiny_models import tiny_family, tiny_runner, tiny_vocabulary


@pytest.mark.parametrize("family", ["int8 gpt2", "int8 llama"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, seed=st.integers(0, 99))
def test_any_steps_give_nearly_what_the_exact_network_gives(
    family: str, steps: list[dict[int, tuple[int, float, bool]]], seed: int
) -> None:
    weights = tiny_family(family, WINDOW)
    networks = PackedNetwork(weights), Int8Network(weights, threads=2)
    exact, rounded = (ModelRunner(network, tiny_vocabulary(), WINDOW, "", SLOTS) for network in networks)
    random, held = np.random.default_rng(seed), [0] * SLOTS
    for step in steps:
        rows = []
        for slot, (count, kept, wants) in step.items():
            past = min(int(held[slot] * kept), WINDOW - count)
            rows.append(Row(slot, random.integers(0, 300, count).tolist(), past, wants))
            held[slot] = past + count
        expected, computed = (runner.forward(rows, lambda: False) for runner in (exact, rounded))
        assert computed.shape == expected.shape
        for row, other in zip(expected, computed, strict=True):
            assert np.corrcoef(row, other)[0, 1] > 0.99
    rounded.check_integrity()


@pytest.mark.parametrize("family", ["int8 gpt2", "int8 llama"])
def test_a_row_is_what_it_would_be_alone(family: str) -> None:
    together, alone = tiny_runner(family), tiny_runner(family)
    rows = [Row(slot, list(range(5 + slot, 9 + 7 * slot)), 0, True) for slot in range(4)]
    both = together.forward(rows, lambda: False)
    for row, logits in zip(rows, both, strict=True):
        assert np.abs(alone.forward([row], lambda: False)[0] - logits).max() < 1e-4


def test_a_window_that_is_no_multiple_of_a_block_is_kept_to() -> None:
    runner = tiny_runner("int8 llama", window=41)
    runner.forward([Row(0, list(range(41)), 0, True)], lambda: False)
    with pytest.raises(IndexError):
        runner.forward([Row(0, [5], 41, True)], lambda: False)
