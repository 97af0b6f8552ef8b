"""Model weights: the weights of GPT-2 and Llama models in one common structure, for networks other than transformers.

Owns which models the structure can represent and where transformers keeps their weights. Knows nothing of forwards.
"""

from __future__ import annotations

from collections.abc import Sequence as AnySequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from transformers import GPT2LMHeadModel, LlamaForCausalLM, PreTrainedModel


@dataclass(frozen=True, slots=True)
class Affine:
    """A linear layer with `weight` `[outputs, inputs]`, or a norm with `weight` `[width]`."""

    weight: torch.Tensor
    bias: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """The weights of one layer.

    The outputs of `qkv` are all queries, then all keys, then all values. In Llama the outputs of `up` are all gates,
    then all values that they multiply.
    """

    attention_norm: Affine
    qkv: Affine
    output: Affine
    mlp_norm: Affine
    up: Affine
    down: Affine


@dataclass(frozen=True, slots=True)
class ModelWeights:
    """The weights of a model of one of two architectures.

    GPT-2 adds `positions` `[positions, width]` to the embedding, its norms subtract the mean, and it applies GELU
    between `up` and `down`. Llama multiplies queries and keys by the complex `rotations` `[positions, head_dim / 2]`
    (RoPE), its norms do not subtract the mean, and it applies gates between `up` and `down`.
    """

    num_heads: int
    num_kv_heads: int
    head_dim: int
    epsilon: float
    embedding: torch.Tensor
    positions: torch.Tensor | None
    rotations: torch.Tensor | None
    layers: AnySequence[LayerWeights]
    norm: Affine
    head: Affine

    @property
    def is_llama(self) -> bool:
        return self.rotations is not None

    def rounded_to(self, dtype: torch.dtype) -> ModelWeights:
        """Return a copy in another number format. The rotations keep theirs."""

        def round_affine(exact: Affine) -> Affine:
            return Affine(exact.weight.to(dtype), None if exact.bias is None else exact.bias.to(dtype))

        def round_layer(exact: LayerWeights) -> LayerWeights:
            return LayerWeights(*(round_affine(getattr(exact, field.name)) for field in fields(exact)))

        return replace(
            self,
            embedding=self.embedding.to(dtype),
            positions=None if self.positions is None else self.positions.to(dtype),
            layers=[round_layer(exact) for exact in self.layers],
            norm=round_affine(self.norm),
            head=round_affine(self.head),
        )


def read_weights(model: PreTrainedModel, window: int) -> ModelWeights | None:
    """Return the weights of `model` for positions below `window`, or None for a model of another architecture.

    The weights share the model's memory where their layout allows it.
    """
    # The types must match exactly, because a subclass may compute something else.
    if type(model) is LlamaForCausalLM and _is_plain_llama(model):
        return _read_llama(model, window)
    if type(model) is GPT2LMHeadModel and _is_plain_gpt2(model):
        return _read_gpt2(model)
    return None


def _is_plain_llama(model: LlamaForCausalLM) -> bool:
    config: Any = model.config
    return (
        config.hidden_act == "silu"
        and not config.attention_bias
        and not config.mlp_bias
        and config.rope_parameters["rope_type"] in ("default", "linear", "llama3")
    )


def _is_plain_gpt2(model: GPT2LMHeadModel) -> bool:
    config = model.config
    return (
        config.activation_function == "gelu_new"
        and config.scale_attn_weights
        and not config.scale_attn_by_inverse_layer_idx
        and not config.add_cross_attention
    )


def _read_llama(model: LlamaForCausalLM, window: int) -> ModelWeights:
    config: Any = model.config
    return ModelWeights(
        num_heads=config.num_attention_heads,
        num_kv_heads=config.num_key_value_heads,
        head_dim=model.model.layers[0].self_attn.head_dim,
        epsilon=config.rms_norm_eps,
        embedding=_values(model.model.embed_tokens.weight),
        positions=None,
        rotations=_rotations(model.model.rotary_emb, window),
        layers=[_read_llama_layer(layer) for layer in model.model.layers],
        norm=_affine(model.model.norm),
        head=_affine(model.lm_head),
    )


def _read_llama_layer(layer: Any) -> LayerWeights:
    attention, mlp = layer.self_attn, layer.mlp
    qkv = (attention.q_proj, attention.k_proj, attention.v_proj)
    return LayerWeights(
        attention_norm=_affine(layer.input_layernorm),
        qkv=Affine(torch.cat([_values(linear.weight) for linear in qkv])),
        output=_affine(attention.o_proj),
        mlp_norm=_affine(layer.post_attention_layernorm),
        up=Affine(torch.cat([_values(linear.weight) for linear in (mlp.gate_proj, mlp.up_proj)])),
        down=_affine(mlp.down_proj),
    )


def _rotations(embedding: Any, window: int) -> torch.Tensor:
    positions = torch.arange(window, device=embedding.inv_freq.device)
    angles = torch.outer(positions.float(), embedding.inv_freq.float())
    return torch.polar(torch.full_like(angles, embedding.attention_scaling), angles)


def _read_gpt2(model: GPT2LMHeadModel) -> ModelWeights:
    config, inner = model.config, model.transformer
    return ModelWeights(
        num_heads=config.n_head,
        num_kv_heads=config.n_head,
        head_dim=config.n_embd // config.n_head,
        epsilon=config.layer_norm_epsilon,
        embedding=_values(inner.wte.weight),
        positions=_values(inner.wpe.weight),
        rotations=None,
        layers=[_read_gpt2_layer(block) for block in inner.h],
        norm=_affine(inner.ln_f),
        head=_affine(model.lm_head),
    )


def _read_gpt2_layer(block: Any) -> LayerWeights:
    return LayerWeights(
        attention_norm=_affine(block.ln_1),
        qkv=_transposed(block.attn.c_attn),
        output=_transposed(block.attn.c_proj),
        mlp_norm=_affine(block.ln_2),
        up=_transposed(block.mlp.c_fc),
        down=_transposed(block.mlp.c_proj),
    )


def _transposed(conv: Any) -> Affine:
    """Return `[outputs, inputs]`. Transformers keeps GPT-2's weights as `[inputs, outputs]`."""
    return Affine(_values(conv.weight).t(), _values(conv.bias))


def _affine(module: Any) -> Affine:
    bias = getattr(module, "bias", None)
    return Affine(_values(module.weight), None if bias is None else _values(bias))


def _values(parameter: torch.Tensor) -> torch.Tensor:
    return parameter.detach().float()
