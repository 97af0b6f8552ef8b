"""Transformers network: it gives the logits of the model itself, or refuses the model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import BloomConfig, BloomForCausalLM

from generator.engine.networks.kv_cache import LayerShape
from generator.engine.networks.model_runner import open_transformers_network
from generator.engine.networks.runner import LoadFailed
from generator.engine.networks.transformers_network import TransformersNetwork, attend_slots
from tests.generator.engine.networks.batches import SLOTS, STEPS, WINDOW, batches, never
from tests.generator.engine.tiny_models import copy_of, tiny_model, tiny_runner


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, seed=st.integers(0, 99))
def test_any_batches_give_the_logits_of_the_model_without_slots(
    architecture: str, steps: list[dict[int, tuple[int, float, bool]]], seed: int
) -> None:
    runner, model = tiny_runner(architecture, WINDOW, SLOTS), copy_of(tiny_model(architecture))
    written: list[list[int]] = [[] for _ in range(SLOTS)]
    for items in batches(steps, seed):
        expected = []
        for item in items:
            written[item.slot] = [*written[item.slot][: item.start], *item.token_ids]
            if item.wants_logits:
                with torch.inference_mode():
                    expected.append(model(torch.tensor([written[item.slot]])).logits[0, -1].numpy())
        computed = runner.forward(items, never)
        assert len(computed) == len(expected)
        for row, other in zip(computed, expected, strict=True):
            assert np.abs(row - other).max() < 1e-4


@pytest.mark.parametrize(("architecture", "shape"), [("gpt2", LayerShape(4, 12)), ("llama", LayerShape(3, 8))])
def test_the_shape_of_the_slots_is_read_from_the_model(architecture: str, shape: LayerShape) -> None:
    network = TransformersNetwork(copy_of(tiny_model(architecture)))
    assert network._layers == [shape, shape]


class OneLayer(torch.nn.Module):
    layer_idx = 0


class ReturningQuery:
    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
    ) -> torch.Tensor:
        return query


@pytest.mark.parametrize("extra", [{"softcap": 30.0}, {"s_aux": torch.zeros(1)}, {"attention_mask": torch.ones(1)}])
def test_attention_with_extras_that_slots_do_not_support_is_refused(extra: dict[str, object]) -> None:
    query = torch.arange(6.0).view(1, 2, 3, 1)
    arguments: dict[str, object] = {"attention_mask": None, "softcap": None, "s_aux": None}

    def attend(**given: object) -> torch.Tensor:
        result = attend_slots(OneLayer(), query, query, query, **given, step=ReturningQuery())  # type: ignore[arg-type]
        return result[0]

    assert torch.equal(attend(**arguments), query.transpose(1, 2))
    with pytest.raises(LoadFailed, match="attention is not supported"):
        attend(**arguments | extra)


def test_an_architecture_with_another_attention_is_refused() -> None:
    """Bloom adds a bias to the attention scores, which the attention function does not receive."""
    torch.manual_seed(0)
    config = BloomConfig(vocab_size=300, hidden_size=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0)
    with pytest.raises((LoadFailed, ValueError)):
        open_transformers_network(BloomForCausalLM(config), 32)
