"""Networks with a KV cache: the size that they state is the size of their slots."""

from __future__ import annotations

import pytest
import torch

from generator.engine.networks.kv_cache import LayerShape
from generator.engine.networks.memory_size import memory_size
from generator.engine.networks.network import CachedNetwork
from generator.engine.networks.torch_network import TorchNetwork
from generator.engine.networks.transformers_network import TransformersNetwork
from tests.generator.engine.tiny_models import copy_of, tiny_model, tiny_weights

NUM_SLOTS, WINDOW = 3, 20


def networks() -> list[CachedNetwork]:
    layers = [LayerShape(2, 8), LayerShape(1, 4)]
    found = [CachedNetwork(layers, dtype, torch.device("cpu")) for dtype in (torch.float32, torch.bfloat16)]
    for architecture in ("gpt2", "llama"):
        found.append(TransformersNetwork(copy_of(tiny_model(architecture))))
        found.append(TorchNetwork(tiny_weights(architecture, WINDOW)))
    return found


@pytest.mark.parametrize("network", networks(), ids=lambda network: type(network).__name__)
def test_slots_take_as_many_bytes_as_the_network_says(network: CachedNetwork) -> None:
    slots = network.new_slots(NUM_SLOTS, WINDOW)
    assert memory_size(slots) == NUM_SLOTS * WINDOW * network.position_bytes
    assert slots.lengths == [0] * NUM_SLOTS
    assert (slots.dtype, slots.device) == (network.dtype, network.device)
    # The memory is allocated whether or not the slots are used.
    assert not network.allocates_lazily


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_both_networks_of_a_model_need_the_same_slots(architecture: str) -> None:
    general = TransformersNetwork(copy_of(tiny_model(architecture)))
    own = TorchNetwork(tiny_weights(architecture, WINDOW))
    assert general.position_bytes == own.position_bytes
