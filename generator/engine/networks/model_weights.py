"""Families: the weights of the model families that have a forward of their own, in one shape.

Owns which models belong to a family and how their weights are named. Knows nothing of how anything is computed.
"""

from __future__ import annotations

from collections.abc import Sequence as AnySequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from transformers import GPT2LMHeadModel, LlamaForCausalLM, PreTrainedModel


@dataclass(frozen=True, slots=True)
class Affine:
    """`weight` is `[outputs, inputs]`, or `[width]` of a norm."""

    weight: torch.Tensor
    bias: torch.Tensor | None = None


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """`qkv` gives all queries, then keys, then values; `up` gives all gates first where the family has them."""

    attention_norm: Affine
    qkv: Affine
    output: Affine
    mlp_norm: Affine
    up: Affine
    down: Affine


@dataclass(frozen=True, slots=True)
class ModelWeights:
    """Either `positions` `[positions, width]` are added to the embedding, norms subtract the mean and GELU stands
    between `up` and `down` (GPT-2); or queries and keys are turned by `rotations` `[positions, head_dim / 2]`,
    complex, norms don't, and gates stand there (Llama)."""

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
        """All but the rotations in another number format."""

        def affine(exact: Affine) -> Affine:
            return Affine(exact.weight.to(dtype), None if exact.bias is None else exact.bias.to(dtype))

        def layer(exact: LayerWeights) -> LayerWeights:
            return LayerWeights(*(affine(getattr(exact, field.name)) for field in fields(exact)))

        return replace(
            self,
            embedding=self.embedding.to(dtype),
            positions=None if self.positions is None else self.positions.to(dtype),
            layers=[layer(exact) for exact in self.layers],
            norm=affine(self.norm),
            head=affine(self.head),
        )


def read_family(model: PreTrainedModel, window: int) -> ModelWeights | None:
    """The weights themselves, not copies; None for a model of no family. `window` bounds its positions."""
    # Subclasses may compute otherwise.
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
    places = torch.arange(window, device=embedding.inv_freq.device)
    angles = torch.outer(places.float(), embedding.inv_freq.float())
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
        qkv=_turned(block.attn.c_attn),
        output=_turned(block.attn.c_proj),
        mlp_norm=_affine(block.ln_2),
        up=_turned(block.mlp.c_fc),
        down=_turned(block.mlp.c_proj),
    )


def _turned(conv: Any) -> Affine:
    """Transformers keeps GPT-2's weights as `[inputs, outputs]`."""
    return Affine(_values(conv.weight).t(), _values(conv.bias))


def _affine(module: Any) -> Affine:
    bias = getattr(module, "bias", None)
    return Affine(_values(module.weight), None if bias is None else _values(bias))


def _values(parameter: torch.Tensor) -> torch.Tensor:
    return parameter.detach().float()
