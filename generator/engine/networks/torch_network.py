"""Torch network: a packed forward pass in plain torch operations, in the number format of its weights.

It gives the logits of transformers with fewer and larger operations. It is the reference for quantized networks, and
the forward pass on machines that cannot run them. Owns the layers' operations. Knows nothing of text, sampling or
scheduling.
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
from generator.engine.networks.network import CachedNetwork
from generator.engine.networks.runner import BatchItem


class AttentionStep(Protocol):
    """The tokens of one forward and their attention."""

    token_ids: torch.Tensor
    positions: torch.Tensor

    def attend(self, layer: int, qkv: torch.Tensor) -> torch.Tensor:
        """Attend with `qkv` `[tokens, heads + 2 * kv_heads, head_dim]`. Return `[tokens, heads * head_dim]`."""
        ...


class TorchNetwork(CachedNetwork):
    """A `Network` over `weights`."""

    def __init__(self, weights: ModelWeights) -> None:
        layers = [LayerShape(weights.num_kv_heads, weights.head_dim)] * len(weights.layers)
        super().__init__(layers, weights.embedding.dtype, weights.embedding.device)
        self._weights = weights

    def logits(self, items: AnySequence[BatchItem], slots: KVCache, should_stop: Callable[[], bool]) -> torch.Tensor:
        step = GroupedAttention(slots, items, should_stop, self._weights.num_heads)
        return self._head_logits(self._hidden(step)[step.wanted])

    def passage_logits(self, token_ids: AnySequence[int]) -> torch.Tensor:
        """Return the logits `[tokens, vocabulary]` at every position of a passage."""
        slots = KVCache(self._layers, 1, len(token_ids), self.dtype, self.device)
        items = [BatchItem(0, token_ids, 0, False)]
        return self._head_logits(self._hidden(GroupedAttention(slots, items, lambda: False, self._weights.num_heads)))

    def _hidden(self, step: AttentionStep) -> torch.Tensor:
        """Return the hidden states `[tokens, width]` after the last layer."""
        weights, positions = self._weights, step.positions
        x = weights.embedding[step.token_ids]
        if weights.positions is not None:
            x = x + weights.positions[positions]
        for number, layer in enumerate(weights.layers):
            qkv = _linear(self._norm(x, layer.attention_norm), layer.qkv).view(len(x), -1, weights.head_dim)
            if weights.rotations is not None:
                _rotate(qkv[:, : weights.num_heads + weights.num_kv_heads], weights.rotations[positions, None])
            x = _linear(step.attend(number, qkv), layer.output).add_(x)
            x = _linear(self._activate(_linear(self._norm(x, layer.mlp_norm), layer.up)), layer.down).add_(x)
        return x

    def _head_logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return _linear(self._norm(hidden, self._weights.norm), self._weights.head)

    def _norm(self, x: torch.Tensor, norm: Affine) -> torch.Tensor:
        if self._weights.is_llama:
            normed: torch.Tensor = F.rms_norm(x, x.shape[1:], norm.weight, self._weights.epsilon)
            return normed
        return F.layer_norm(x, x.shape[1:], norm.weight, norm.bias, self._weights.epsilon)

    def _activate(self, x: torch.Tensor) -> torch.Tensor:
        if self._weights.is_llama:
            gates, values = x.chunk(2, -1)
            return F.silu(gates).mul_(values)
        return F.gelu(x, approximate="tanh")


def _linear(x: torch.Tensor, affine: Affine) -> torch.Tensor:
    return F.linear(x, affine.weight, affine.bias)


def _rotate(heads: torch.Tensor, rotations: torch.Tensor) -> None:
    """Apply rotary embeddings (RoPE) to `[tokens, heads, head_dim]` in place.

    Dimensions half a head apart form a pair.
    """
    lower, upper = heads.chunk(2, -1)
    rotated = torch.complex(lower.float(), upper.float()) * rotations
    lower.copy_(rotated.real)
    upper.copy_(rotated.imag)
