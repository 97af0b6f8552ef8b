"""Models in 8 bits: whatever is asked of them, they compute what the exact ones do, but for the error of rounding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.engine.networks.model_runner import ModelRunner
from generator.engine.networks.runner import BatchItem, Interrupted
from generator.engine.networks.torch_network import TorchNetwork
from tests.generator.engine.networks.batches import SLOTS, STEPS, WINDOW
from tests.generator.engine.tiny_models import tiny_runner, tiny_vocabulary, tiny_weights


@pytest.mark.parametrize("family", ["int8 gpt2", "int8 llama", "int8-a8 gpt2", "int8-a8 llama"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, seed=st.integers(0, 99))
def test_any_steps_give_nearly_what_the_exact_network_gives(
    family: str, steps: list[dict[int, tuple[int, float, bool]]], seed: int
) -> None:
    weights = tiny_weights(family, WINDOW)
    exact = ModelRunner(TorchNetwork(weights), tiny_vocabulary(), WINDOW, "", SLOTS)
    rounded = tiny_runner(family, WINDOW, SLOTS)
    random, held = np.random.default_rng(seed), [0] * SLOTS
    for step in steps:
        rows = []
        for slot, (count, kept, wants) in step.items():
            past = min(int(held[slot] * kept), WINDOW - count)
            rows.append(BatchItem(slot, random.integers(0, 300, count).tolist(), past, wants))
            held[slot] = past + count
        expected, computed = (runner.forward(rows, lambda: False) for runner in (exact, rounded))
        assert computed.shape == expected.shape
        for row, other in zip(expected, computed, strict=True):
            # What is computed wrongly has nothing to do with what is right.
            assert np.corrcoef(row, other)[0, 1] > 0.95
    rounded.check_integrity()


@pytest.mark.parametrize("family", ["int8 gpt2", "int8 llama", "int8-a8 gpt2", "int8-a8 llama"])
def test_a_row_is_what_it_would_be_alone(family: str) -> None:
    together, alone = tiny_runner(family), tiny_runner(family)
    rows = [BatchItem(slot, list(range(5 + slot, 9 + 7 * slot)), 0, True) for slot in range(4)]
    both = together.forward(rows, lambda: False)
    for row, logits in zip(rows, both, strict=True):
        assert np.abs(alone.forward([row], lambda: False)[0] - logits).max() < 1e-4


def test_a_window_that_is_no_multiple_of_a_block_is_kept_to() -> None:
    runner = tiny_runner("int8 llama", window=41)
    runner.forward([BatchItem(0, list(range(41)), 0, True)], lambda: False)
    with pytest.raises(IndexError):
        runner.forward([BatchItem(0, [5], 41, True)], lambda: False)


class Leaving(Exception):
    pass


@pytest.mark.parametrize("looks", range(2))
def test_a_step_can_be_left_before_any_layer(looks: int) -> None:
    runner, untouched = tiny_runner("int8 llama"), tiny_runner("int8 llama")
    rows = [BatchItem(0, list(range(20)), 0, True)]

    def should_stop() -> bool:
        return next(seen) == looks

    def fail() -> bool:
        if should_stop():
            raise Leaving
        return False

    for stop, error in ((should_stop, Interrupted), (fail, Leaving)):
        seen = iter(range(99))
        with pytest.raises(error):
            runner.forward(rows, stop)
    assert np.array_equal(runner.forward(rows, lambda: False), untouched.forward(rows, lambda: False))
    runner.check_integrity()
