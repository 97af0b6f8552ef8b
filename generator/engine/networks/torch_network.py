"""Packed network: one step's rows through a family's own forward, in the number format of its weights.

What transformers computes, in fewer and larger steps: the measure of what computes in fewer bits, and what runs where
that cannot. Owns how it meets the slots. Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from typing import Protocol

import torch
import torch.nn.functional as F

from generator.engine.networks.grouped_attention import GroupedAttention
from generator.engine.networks.kv_cache import KVCache, LayerShape
from generator.engine.networks.model_weights import Affine, ModelWeights
from generator.engine.networks.runner import BatchItem


class AttentionStep(Protocol):
    """Tokens that are computed together, and how they attend."""

    token_ids: torch.Tensor
    positions: torch.Tensor

    def attend(self, layer: int, qkv: torch.Tensor) -> torch.Tensor:
        """`qkv` is `[tokens, heads + 2 * kv_heads, head_dim]`. Returns `[tokens, heads * head_dim]`."""
        ...


class TorchNetwork:
    """A `Network` over `model`."""

    as_used = False

    def __init__(self, model: ModelWeights) -> None:
        self._model = model
        self.dtype, self.device = model.embedding.dtype, model.embedding.device
        self._shapes = [LayerShape(model.num_kv_heads, model.head_dim)] * len(model.layers)

    @property
    def position_bytes(self) -> int:
        return sum(shape.position_bytes(self.dtype) for shape in self._shapes)

    def new_slots(self, num_slots: int, window: int) -> KVCache:
        return KVCache(self._shapes, num_slots, window, self.dtype, self.device)

    def logits(self, rows: AnySequence[BatchItem], slots: KVCache, should_stop: Callable[[], bool]) -> torch.Tensor:
        step = GroupedAttention(slots, rows, should_stop, self._model.num_heads)
        return self._logits_of(self._hidden(step)[step.wanted])

    def passage_logits(self, token_ids: AnySequence[int]) -> torch.Tensor:
        slots = KVCache(self._shapes, 1, len(token_ids), self.dtype, self.device)
        rows = [BatchItem(0, token_ids, 0, False)]
        return self._logits_of(self._hidden(GroupedAttention(slots, rows, lambda: False, self._model.num_heads)))

    def _hidden(self, step: AttentionStep) -> torch.Tensor:
        model, positions = self._model, step.positions
        x = model.embedding[step.token_ids]
        if model.positions is not None:
            x = x + model.positions[positions]
        for number, layer in enumerate(model.layers):
            qkv = _times(self._norm(x, layer.attention_norm), layer.qkv).view(len(x), -1, model.head_dim)
            if model.rotations is not None:
                turned = qkv[:, : model.num_heads + model.num_kv_heads]
                _turn(turned, model.rotations[positions, None])
            x = _times(step.attend(number, qkv), layer.output).add_(x)
            x = _times(self._activated(_times(self._norm(x, layer.mlp_norm), layer.up)), layer.down).add_(x)
        return x

    def _logits_of(self, hidden: torch.Tensor) -> torch.Tensor:
        return _times(self._norm(hidden, self._model.norm), self._model.head)

    def _norm(self, x: torch.Tensor, norm: Affine) -> torch.Tensor:
        if self._model.is_llama:
            normed: torch.Tensor = F.rms_norm(x, x.shape[1:], norm.weight, self._model.epsilon)
            return normed
        return F.layer_norm(x, x.shape[1:], norm.weight, norm.bias, self._model.epsilon)

    def _activated(self, x: torch.Tensor) -> torch.Tensor:
        if self._model.is_llama:
            gates, values = x.chunk(2, -1)
            return F.silu(gates).mul_(values)
        return F.gelu(x, approximate="tanh")


def _times(x: torch.Tensor, linear: Affine) -> torch.Tensor:
    return F.linear(x, linear.weight, linear.bias)


def _turn(heads: torch.Tensor, rotations: torch.Tensor) -> None:
    """Each pair of dimensions of `[tokens, heads, head_dim]`, half a head apart, in place."""
    lower, upper = heads.chunk(2, -1)
    turned = torch.complex(lower.float(), upper.float()) * rotations
    lower.copy_(turned.real)
    upper.copy_(turned.imag)
