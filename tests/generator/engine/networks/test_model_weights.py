"""Model weights: only models of a known architecture are read, and their weights are the model's own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from generator.engine.networks.model_weights import Affine, ModelWeights, read_weights
from tests.generator.engine.tiny_models import copy_of, tiny_model, tiny_weights

WINDOW = 32


class OtherLlama(LlamaForCausalLM):
    """A subclass, which may compute anything."""


def gpt2(**changes: object) -> PreTrainedModel:
    return GPT2LMHeadModel(GPT2Config(**(tiny_model("gpt2").config.to_dict() | changes)))


def llama(kind: type[LlamaForCausalLM] = LlamaForCausalLM, **changes: object) -> PreTrainedModel:
    return kind(LlamaConfig(**(tiny_model("llama").config.to_dict() | changes)))


UNUSUAL = {
    "subclass": lambda: llama(OtherLlama),
    "llama with biases": lambda: llama(attention_bias=True),
    "llama with mlp biases": lambda: llama(mlp_bias=True),
    "llama with gelu": lambda: llama(hidden_act="gelu"),
    "gpt2 with relu": lambda: gpt2(activation_function="relu"),
    "gpt2 with unscaled attention": lambda: gpt2(scale_attn_weights=False),
    "gpt2 scaled by layer": lambda: gpt2(scale_attn_by_inverse_layer_idx=True),
}


@pytest.mark.parametrize("make", UNUSUAL.values(), ids=UNUSUAL.keys())
def test_models_that_compute_something_else_are_not_read(make: Callable[[], PreTrainedModel]) -> None:
    assert read_weights(make(), WINDOW) is None


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_plain_models_are_read(architecture: str) -> None:
    config = tiny_model(architecture).config
    weights = tiny_weights(architecture, WINDOW)
    assert weights.is_llama == (architecture == "llama")
    assert len(weights.layers) == config.num_hidden_layers
    assert weights.num_heads == config.num_attention_heads
    assert weights.head_dim * weights.num_heads == config.hidden_size
    assert weights.num_kv_heads == getattr(config, "num_key_value_heads", config.num_attention_heads)


def test_linear_layers_of_gpt2_are_transposed_to_outputs_by_inputs() -> None:
    model = copy_of(tiny_model("gpt2"))
    weights = read_weights(model, WINDOW)
    assert weights is not None
    state = model.state_dict()
    x = torch.randn(3, weights.layers[1].up.weight.shape[1], generator=torch.Generator().manual_seed(1))
    up = weights.layers[1].up
    assert up.bias is not None
    computed = torch.nn.functional.linear(x, up.weight, up.bias)
    expected = x @ state["transformer.h.1.mlp.c_fc.weight"] + state["transformer.h.1.mlp.c_fc.bias"]
    assert torch.allclose(computed, expected, atol=1e-6)


def test_queries_keys_and_values_of_llama_are_joined_in_this_order() -> None:
    state = tiny_model("llama").state_dict()
    joined = tiny_weights("llama", WINDOW).layers[0].qkv.weight
    parts = [state[f"model.layers.0.self_attn.{name}_proj.weight"] for name in "qkv"]
    assert torch.equal(joined, torch.cat(parts))
    up = tiny_weights("llama", WINDOW).layers[0].up.weight
    assert torch.equal(up, torch.cat([state[f"model.layers.0.mlp.{name}_proj.weight"] for name in ("gate", "up")]))


def test_rotations_of_llama_are_the_cosines_and_sines_of_the_model() -> None:
    model = copy_of(tiny_model("llama"))
    weights = read_weights(model, WINDOW)
    assert weights is not None
    assert weights.rotations is not None
    positions = torch.arange(WINDOW)[None]
    cosines, sines = model.model.rotary_emb(torch.zeros(1), positions)
    half = weights.head_dim // 2
    assert torch.allclose(weights.rotations.real, cosines[0, :, :half], atol=1e-6)
    assert torch.allclose(weights.rotations.imag, sines[0, :, :half], atol=1e-6)


def tensors_of(weights: ModelWeights) -> list[torch.Tensor]:
    affines = [weights.norm, weights.head]
    affines += [value for layer in weights.layers for value in (getattr(layer, name) for name in layer.__slots__)]
    found = [weights.embedding] if weights.positions is None else [weights.embedding, weights.positions]
    for affine in affines:
        assert isinstance(affine, Affine)
        found += [affine.weight] if affine.bias is None else [affine.weight, affine.bias]
    return found


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_rounding_changes_the_format_of_all_weights_except_the_rotations(architecture: str) -> None:
    exact = tiny_weights(architecture, WINDOW)
    rounded = exact.rounded_to(torch.bfloat16)
    pairs = list(zip(tensors_of(exact), tensors_of(rounded), strict=True))
    assert len(pairs) > 10
    for before, after in pairs:
        assert before.dtype == torch.float32
        assert after.dtype == torch.bfloat16
        assert torch.equal(before.bfloat16(), after)
    assert rounded.rotations is exact.rotations
