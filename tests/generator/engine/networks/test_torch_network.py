"""The families' own forwards: whatever is asked of them, the general network computes the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from generator.engine.loading.load import choose_network
from generator.engine.loading.precision_cache import PrecisionCache
from generator.engine.networks.model_weights import ModelWeights, read_family
from generator.engine.networks.runner import BatchItem
from generator.engine.networks.torch_network import TorchNetwork
from generator.engine.networks.transformers_network import TransformersNetwork
from tests.generator.engine.tiny_models import copy_of, tiny_model, tiny_runner

WINDOW, SLOTS = 48, 6
NO_MEMORY = PrecisionCache(Path("nowhere"), Path(__file__).parent, torch.device("cpu"))
# Per step: which slots, how many tokens each, and from which share of what the slot holds on.
STEPS = st.lists(
    st.dictionaries(
        st.integers(0, SLOTS - 1),
        st.tuples(st.sampled_from([1, 1, 1, 2, 9]), st.sampled_from([1.0, 1.0, 0.5]), st.booleans()),
        min_size=1,
    ),
    min_size=1,
    max_size=7,
)


@pytest.mark.parametrize("way", ["packed", "graph"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, seed=st.integers(0, 99))
def test_any_steps_give_what_the_general_network_gives(
    family: str, way: str, steps: list[dict[int, tuple[int, float, bool]]], seed: int
) -> None:
    general, packed = (tiny_runner(name, WINDOW, SLOTS) for name in (family, f"{way} {family}"))
    random, held = np.random.default_rng(seed), [0] * SLOTS
    for step in steps:
        rows = []
        for slot, (count, kept, wants) in step.items():
            past = min(int(held[slot] * kept), WINDOW - count)
            rows.append(BatchItem(slot, random.integers(0, 300, count).tolist(), past, wants))
            held[slot] = past + count
        expected, computed = (runner.forward(rows, lambda: False) for runner in (general, packed))
        assert computed.shape == expected.shape
        assert np.abs(computed - expected).max(initial=0) < 1e-4
    packed.check_integrity()


def test_sequences_of_very_different_lengths_are_not_filled_up_to_the_longest() -> None:
    """Whether they attend together or apart is a matter of cost; the result is the same."""
    general, packed = (tiny_runner(name, 128, SLOTS) for name in ("llama", "packed llama"))
    for runner in (general, packed):
        runner.forward(
            [BatchItem(0, list(range(120)), 0, False), BatchItem(1, [5], 0, False), BatchItem(2, [6], 0, False)],
            lambda: False,
        )
    rows = [BatchItem(2, [9], 1, True), BatchItem(0, [7], 120, True), BatchItem(1, [8], 1, True)]
    expected, computed = (runner.forward(rows, lambda: False) for runner in (general, packed))
    assert np.abs(computed - expected).max() < 1e-4


def test_plain_models_get_their_own_network() -> None:
    for family in ("gpt2", "llama"):
        network, precision = choose_network(copy_of(tiny_model(family)), 32, [1, 2, 3], "fp32", NO_MEMORY)
        assert isinstance(network, TorchNetwork)
        assert precision == "fp32"


class OtherLlama(LlamaForCausalLM):
    """Nobody knows what it computes."""


def unusual_gpt2(**changes: object) -> PreTrainedModel:
    return GPT2LMHeadModel(GPT2Config(**(tiny_model("gpt2").config.to_dict() | changes)))


def other_llama() -> PreTrainedModel:
    return OtherLlama(LlamaConfig(**tiny_model("llama").config.to_dict()))


@pytest.mark.parametrize(
    "make",
    [
        other_llama,
        lambda: unusual_gpt2(activation_function="relu"),
        lambda: unusual_gpt2(scale_attn_by_inverse_layer_idx=True),
    ],
)
def test_unusual_models_get_the_general_network(make: Callable[[], PreTrainedModel]) -> None:
    torch.manual_seed(3)
    model = make().eval()
    assert read_family(model, 32) is None
    assert isinstance(choose_network(model, 32, [1, 2, 3], "fp32", NO_MEMORY)[0], TransformersNetwork)


def test_a_network_that_computes_otherwise_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_wrongly(model: PreTrainedModel, window: int) -> ModelWeights | None:
        family = read_family(copy_of(model), window)
        assert family is not None
        family.layers[0].qkv.weight[0] += 1
        return family

    monkeypatch.setattr("generator.engine.loading.load.read_family", read_wrongly)
    network, _ = choose_network(copy_of(tiny_model("llama")), 32, [1, 2, 3], "fp32", NO_MEMORY)
    assert isinstance(network, TransformersNetwork)


def test_a_network_that_fails_here_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(TorchNetwork, "new_slots", fail)
    network, precision = choose_network(copy_of(tiny_model("llama")), 32, [1, 2, 3], "auto", NO_MEMORY)
    assert isinstance(network, TransformersNetwork)
    assert precision == "fp32"
    assert "capturing" in caplog.text
