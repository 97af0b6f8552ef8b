"""Int8 network: any steps give the logits of the exact network, within rounding, and can be interrupted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.engine.networks.model_runner import ModelRunner
from generator.engine.networks.runner import BatchItem, Interrupted
from generator.engine.networks.torch_network import TorchNetwork
from tests.generator.engine.networks.batches import SLOTS, STEPS, WINDOW, batches
from tests.generator.engine.tiny_models import tiny_runner, tiny_vocabulary, tiny_weights


@pytest.mark.parametrize("kind", ["int8 gpt2", "int8 llama", "int8-a8 gpt2", "int8-a8 llama"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, seed=st.integers(0, 99))
def test_any_steps_give_nearly_the_logits_of_the_exact_network(
    kind: str, steps: list[dict[int, tuple[int, float, bool]]], seed: int
) -> None:
    weights = tiny_weights(kind, WINDOW)
    exact = ModelRunner(TorchNetwork(weights), tiny_vocabulary(), WINDOW, "", SLOTS)
    rounded = tiny_runner(kind, WINDOW, SLOTS)
    for items in batches(steps, seed):
        expected, computed = (runner.forward(items, lambda: False) for runner in (exact, rounded))
        assert computed.shape == expected.shape
        for logits, others in zip(expected, computed, strict=True):
            # Logits of a wrong computation would not correlate with the right ones.
            assert np.corrcoef(logits, others)[0, 1] > 0.95
    rounded.check_integrity()


@pytest.mark.parametrize("kind", ["int8 gpt2", "int8 llama", "int8-a8 gpt2", "int8-a8 llama"])
def test_an_item_of_a_batch_gives_the_logits_that_it_gives_alone(kind: str) -> None:
    together, alone = tiny_runner(kind), tiny_runner(kind)
    items = [BatchItem(slot, list(range(5 + slot, 9 + 7 * slot)), 0, True) for slot in range(4)]
    both = together.forward(items, lambda: False)
    for item, logits in zip(items, both, strict=True):
        assert np.abs(alone.forward([item], lambda: False)[0] - logits).max() < 1e-4


def test_a_window_that_is_not_a_multiple_of_32_is_a_limit() -> None:
    runner = tiny_runner("int8 llama", window=41)
    runner.forward([BatchItem(0, list(range(41)), 0, True)], lambda: False)
    with pytest.raises(IndexError):
        runner.forward([BatchItem(0, [5], 41, True)], lambda: False)


class Failure(Exception):
    pass


@pytest.mark.parametrize("call", range(2))
def test_a_step_can_be_interrupted_before_any_layer(call: int) -> None:
    runner, untouched = tiny_runner("int8 llama"), tiny_runner("int8 llama")
    items = [BatchItem(0, list(range(20)), 0, True)]

    def should_stop() -> bool:
        return next(seen) == call

    def fail() -> bool:
        if should_stop():
            raise Failure
        return False

    for stop, error in ((should_stop, Interrupted), (fail, Failure)):
        seen = iter(range(99))
        with pytest.raises(error):
            runner.forward(items, stop)
    assert np.array_equal(runner.forward(items, lambda: False), untouched.forward(items, lambda: False))
    runner.check_integrity()
