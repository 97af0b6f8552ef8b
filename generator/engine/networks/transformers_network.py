"""Transformers network: a packed forward pass through a transformers model of any architecture.

Owns the attention function that reads and writes the slots, and the transfer of tokens to the device. It is the
reference for the faster networks. Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, PreTrainedModel

from generator.engine.networks.kv_cache import KVCache, LayerShape
from generator.engine.networks.network import CachedNetwork
from generator.engine.networks.runner import BatchItem, Interrupted, LoadFailed

ATTENTION = "storygen_slots"


class LayerAttention(Protocol):
    """The attention of one forward. The attention function receives it as `step`."""

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
    ) -> torch.Tensor: ...


def attend_slots(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    *,
    step: LayerAttention,
    **extras: Any,
) -> tuple[torch.Tensor, None]:
    """Attend with `query` `[1, heads, tokens, head_dim]` by `step`. The signature is transformers' interface.

    Raise LoadFailed for a kind of attention that the slots do not support.
    """
    if attention_mask is not None or extras.get("softcap") is not None or extras.get("s_aux") is not None:
        raise LoadFailed("This model's kind of attention is not supported.")
    layer: Any = module.layer_idx
    attended = step.attend(layer, query, key, value, scaling)
    return attended.transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, attend_slots)


class PackedAttention:
    """The attention of a batch: each item attends causally to its slot and to its own tokens."""

    def __init__(self, cache: KVCache, items: AnySequence[BatchItem], should_stop: Callable[[], bool]) -> None:
        self._cache = cache
        self._should_stop = should_stop
        self._spans: list[tuple[BatchItem, int, int]] = []
        self._masks: dict[int, torch.Tensor] = {}
        begin = 0
        for item in items:
            end = begin + len(item.token_ids)
            self._spans.append((item, begin, end))
            begin = end

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
    ) -> torch.Tensor:
        """Store the keys and values, then attend. Raise Interrupted once `should_stop` returns true."""
        if self._should_stop():
            raise Interrupted
        attended = torch.empty_like(query)
        has_groups = query.shape[1] != key.shape[1]
        for item, begin, end in self._spans:
            start = item.start
            self._cache.write(layer, item.slot, start, key[0, :, begin:end], value[0, :, begin:end])
            keys, values = self._cache.read(layer, item.slot, start + end - begin)
            attended[:, :, begin:end] = F.scaled_dot_product_attention(
                query[:, :, begin:end],
                keys,
                values,
                attn_mask=self._mask(begin, end - begin, start, query.device),
                scale=scaling,
                enable_gqa=has_groups,
            )
        return attended

    def _mask(self, begin: int, count: int, start: int, device: torch.device) -> torch.Tensor | None:
        """Return the causal mask `[count, start + count]`, which all layers share. A single token needs no mask."""
        if count == 1:
            return None
        if begin not in self._masks:
            everything = torch.ones(count, start + count, dtype=torch.bool, device=device)
            self._masks[begin] = everything.tril(start)
        return self._masks[begin]


class _ShapeRecorder:
    """Plain causal attention that records the shape of each layer's keys."""

    def __init__(self) -> None:
        self.layers: dict[int, LayerShape] = {}

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
    ) -> torch.Tensor:
        self.layers[layer] = LayerShape(key.shape[1], key.shape[3])
        groups = query.shape[1] != key.shape[1]
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=groups)


class TransformersNetwork(CachedNetwork):
    """A `Network` over `model`. It replaces the model's attention function.

    Raise LoadFailed if the model's attention or its layers are not supported.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model.eval()
        model.set_attn_implementation(ATTENTION)
        super().__init__(self._read_layer_shapes(), model.dtype, model.device)

    def logits(self, items: AnySequence[BatchItem], slots: KVCache, should_stop: Callable[[], bool]) -> torch.Tensor:
        wanted, end = [], 0
        for item in items:
            end += len(item.token_ids)
            if item.wants_logits:
                wanted.append(end - 1)
        token_ids = [token_id for item in items for token_id in item.token_ids]
        positions = [item.start + offset for item in items for offset in range(len(item.token_ids))]
        return self._compute(token_ids, positions, wanted, PackedAttention(slots, items, should_stop))

    def _compute(
        self, token_ids: list[int], positions: list[int], wanted: list[int], step: LayerAttention
    ) -> torch.Tensor:
        device = self._model.device
        # The logits of at least one token are kept, because models differ in how they treat an empty selection.
        kept = torch.tensor(wanted or [0], device=device)
        output = self._model(
            input_ids=torch.tensor([token_ids], device=device),
            position_ids=torch.tensor([positions], device=device),
            use_cache=False,
            logits_to_keep=kept,
            step=step,
        )
        logits: torch.Tensor = output.logits[0, : len(wanted)]
        return logits

    def _read_layer_shapes(self) -> list[LayerShape]:
        """Return the shape of each layer, read from a forward of two tokens."""
        recorder = _ShapeRecorder()
        with torch.inference_mode():
            self._compute([0, 1], [0, 1], [0], recorder)
        if not recorder.layers or sorted(recorder.layers) != list(range(len(recorder.layers))):
            raise LoadFailed("This model's architecture is not supported.")
        return [recorder.layers[layer] for layer in range(len(recorder.layers))]
