"""GPT-2's forward as plain functions of tensors: what transformers computes, in fewer and larger steps.

Owns how its weights are laid out. Knows nothing of slots, rows or number formats.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from transformers import GPT2LMHeadModel

from generator.engine.forward import Attend, Layer
from generator.engine.linear import Linear


def is_plain_gpt2(model: GPT2LMHeadModel) -> bool:
    config = model.config
    return (
        config.activation_function == "gelu_new"
        and config.scale_attn_weights
        and not config.scale_attn_by_inverse_layer_idx
        and not config.add_cross_attention
    )


class Gpt2Forward:
    """A `Forward` of a model that `is_plain_gpt2`."""

    def __init__(self, model: GPT2LMHeadModel) -> None:
        config, inner = model.config, model.transformer
        self.num_heads = self.num_kv_heads = config.n_head
        self.head_dim = config.n_embd // config.n_head
        self._eps = config.layer_norm_epsilon
        self._tokens = inner.wte.weight.detach().float()
        self._positions = inner.wpe.weight.detach().float()
        self.layers = [_read_layer(block) for block in inner.h]
        self.head = _behind_norm(model.lm_head.weight, None, inner.ln_f)
        self.stream: torch.Tensor | None = None

    def hidden(self, token_ids: torch.Tensor, positions: torch.Tensor, attend: Attend) -> torch.Tensor:
        x = self._tokens[token_ids] + self._positions[positions]
        if self.stream is not None:
            x = x @ self.stream
        for number, layer in enumerate(self.layers):
            qkv = layer.qkv(self._norm(x)).view(len(x), -1, self.head_dim)
            x = layer.output(attend(number, qkv)).add_(x)
            x = layer.down(F.gelu(layer.up(self._norm(x)), approximate="tanh")).add_(x)
        return x

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.head(self._norm(hidden))

    def _norm(self, rows: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(rows, rows.shape[1:], eps=self._eps)


def _read_layer(block: Any) -> Layer:
    """Transformers keeps GPT-2's weights as `[inputs, outputs]`."""
    attention, mlp = block.attn, block.mlp
    return Layer(
        qkv=_behind_norm(attention.c_attn.weight.t(), attention.c_attn.bias, block.ln_1),
        output=Linear(attention.c_proj.weight.t(), attention.c_proj.bias),
        up=_behind_norm(mlp.c_fc.weight.t(), mlp.c_fc.bias, block.ln_2),
        down=Linear(mlp.c_proj.weight.t(), mlp.c_proj.bias),
    )


def _behind_norm(weight: torch.Tensor, bias: torch.Tensor | None, norm: torch.nn.LayerNorm) -> Linear:
    """The linear layer with the norm's weight and bias made part of it."""
    shift = weight @ norm.bias
    return Linear(weight * norm.weight, shift if bias is None else bias + shift)
