"""Torch network: it gives the logits of the transformers network for any batches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.engine.networks.runner import BatchItem
from generator.engine.networks.torch_network import TorchNetwork
from tests.generator.engine.networks.batches import SLOTS, STEPS, WINDOW, batches, never
from tests.generator.engine.tiny_models import copy_of, tiny_model, tiny_runner, tiny_weights


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, seed=st.integers(0, 99))
def test_any_batches_give_the_logits_of_the_transformers_network(
    architecture: str, steps: list[dict[int, tuple[int, float, bool]]], seed: int
) -> None:
    general, own = (tiny_runner(kind, WINDOW, SLOTS) for kind in (architecture, f"torch {architecture}"))
    for items in batches(steps, seed):
        expected, computed = (runner.forward(items, never) for runner in (general, own))
        assert computed.shape == expected.shape
        assert np.abs(computed - expected).max(initial=0) < 1e-4
    own.check_integrity()


def test_sequences_of_very_different_lengths_give_the_same_logits_as_apart() -> None:
    """Grouped attention does not pad them to the longest one."""
    general, own = (tiny_runner(kind, 128, SLOTS) for kind in ("llama", "torch llama"))
    for runner in (general, own):
        runner.forward(
            [BatchItem(0, list(range(120)), 0, False), BatchItem(1, [5], 0, False), BatchItem(2, [6], 0, False)], never
        )
    items = [BatchItem(2, [9], 1, True), BatchItem(0, [7], 120, True), BatchItem(1, [8], 1, True)]
    expected, computed = (runner.forward(items, never) for runner in (general, own))
    assert np.abs(computed - expected).max() < 1e-4


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_the_logits_of_a_passage_are_those_of_the_model_at_every_position(architecture: str) -> None:
    passage = [7 * number % 300 for number in range(1, 33)]
    with torch.inference_mode():
        expected = copy_of(tiny_model(architecture))(torch.tensor([passage])).logits[0]
        computed = TorchNetwork(tiny_weights(architecture, WINDOW)).passage_logits(passage)
    assert computed.shape == expected.shape
    assert (computed - expected).abs().max() < 1e-4
