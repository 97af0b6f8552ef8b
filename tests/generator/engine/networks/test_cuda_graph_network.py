"""CUDA graph network: replayed steps give the logits of the CPU. Skipped on machines without a GPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import PreTrainedModel

from generator.engine.loading.choose_network import choose_network
from generator.engine.networks.cuda_graph_network import CudaGraphNetwork
from generator.engine.networks.model_runner import ModelRunner
from generator.engine.networks.runner import BatchItem
from tests.generator.engine.loading.test_choose_network import NO_CACHE
from tests.generator.engine.networks.batches import never
from tests.generator.engine.tiny_models import copy_of, tiny_model, tiny_runner, tiny_vocabulary

WINDOW, SLOTS, STEPS = 128, 5, 60

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


def on_gpu(model: PreTrainedModel) -> PreTrainedModel:
    own = copy_of(model)
    torch.nn.Module.to(own, torch.device("cuda"))
    return own


@pytest.mark.parametrize(("precision", "bound"), [("fp32", 1e-3), ("bf16", 0.15)])
@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_any_batches_give_the_logits_of_the_cpu(architecture: str, precision: str, bound: float) -> None:
    model = on_gpu(tiny_model(architecture))
    network, description = choose_network(model, WINDOW, range(1, 40), precision, NO_CACHE)
    assert isinstance(network, CudaGraphNetwork)
    assert description.startswith(precision)
    captured = ModelRunner(network, tiny_vocabulary(), WINDOW, precision, SLOTS)
    on_cpu = tiny_runner(f"torch {architecture}", WINDOW, SLOTS)
    random, lengths = np.random.default_rng(5), [0] * SLOTS
    for step in range(STEPS):
        items = []
        for slot in random.permutation(SLOTS)[: random.integers(1, SLOTS + 1)]:
            count = int(random.integers(2, 20)) if step % 4 == 0 else 1
            start = min(int(lengths[slot] * random.choice([1.0, 1.0, 0.5])), WINDOW - count)
            items.append(BatchItem(int(slot), random.integers(0, 300, count).tolist(), start, bool(random.integers(4))))
            lengths[slot] = start + count
        expected, computed = (runner.forward(items, never) for runner in (on_cpu, captured))
        assert computed.shape == expected.shape
        assert np.abs(computed - expected).max(initial=0) < bound
    captured.copy_slot(0, 1, lengths[0])
    captured.check_integrity()


def test_the_fastest_precision_within_the_bound_is_chosen_on_a_gpu() -> None:
    model = on_gpu(tiny_model("llama"))
    network, description = choose_network(model, WINDOW, range(1, 40), "auto", NO_CACHE)
    assert isinstance(network, CudaGraphNetwork)
    assert description.startswith(("fp32", "bf16"))
