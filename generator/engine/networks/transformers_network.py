"""Transformers network: one packed forward through an unmodified transformers model, of any architecture.

Owns the attention function that reads and writes the slots, and moving numbers to the device.
Knows nothing of text, sampling or scheduling. What the faster networks compute is compared with this.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, PreTrainedModel

from generator.engine.networks.kv_cache import KVCache, LayerShape
from generator.engine.networks.runner import BatchItem, Interrupted, LoadFailed

ATTENTION = "storygen_slots"


class PackedBatch(Protocol):
    """What the attention function does in the forward it is called from."""

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
    step: PackedBatch,
    **extras: Any,
) -> tuple[torch.Tensor, None]:
    """The attention function of transformers' interface. `query` is `[1, heads, tokens, head_dim]`."""
    if attention_mask is not None or extras.get("softcap") is not None or extras.get("s_aux") is not None:
        raise LoadFailed("This model's kind of attention is not supported.")
    layer: Any = module.layer_idx
    attended = step.attend(layer, query, key, value, scaling)
    return attended.transpose(1, 2).contiguous(), None


AttentionInterface.register(ATTENTION, attend_slots)


class PackedStep:
    """One forward's rows: each attends to what its slot holds and to itself, causally."""

    def __init__(self, cache: KVCache, rows: AnySequence[BatchItem], should_stop: Callable[[], bool]) -> None:
        self._cache = cache
        self._should_stop = should_stop
        self._spans: list[tuple[BatchItem, int, int]] = []
        self._masks: dict[int, torch.Tensor] = {}
        begin = 0
        for row in rows:
            end = begin + len(row.token_ids)
            self._spans.append((row, begin, end))
            begin = end

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
    ) -> torch.Tensor:
        if self._should_stop():
            raise Interrupted
        attended = torch.empty_like(query)
        has_groups = query.shape[1] != key.shape[1]
        for row, begin, end in self._spans:
            past = row.past
            self._cache.write(layer, row.slot, past, key[0, :, begin:end], value[0, :, begin:end])
            keys, values = self._cache.read(layer, row.slot, past + end - begin)
            attended[:, :, begin:end] = F.scaled_dot_product_attention(
                query[:, :, begin:end],
                keys,
                values,
                attn_mask=self._mask(begin, end - begin, past, query.device),
                scale=scaling,
                enable_gqa=has_groups,
            )
        return attended

    def _mask(self, begin: int, count: int, past: int, device: torch.device) -> torch.Tensor | None:
        """`[count, past + count]`, the same for every layer; a single token sees everything."""
        if count == 1:
            return None
        if begin not in self._masks:
            everything = torch.ones(count, past + count, dtype=torch.bool, device=device)
            self._masks[begin] = everything.tril(past)
        return self._masks[begin]


class _Measure:
    """Plain causal attention that notes each layer's shape: how a model's cache must look."""

    def __init__(self) -> None:
        self.layers: dict[int, LayerShape] = {}

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None
    ) -> torch.Tensor:
        self.layers[layer] = LayerShape(key.shape[1], key.shape[3])
        groups = query.shape[1] != key.shape[1]
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=groups)


class TransformersNetwork:
    """A `Network` over `model`, whose attention becomes this module's. Raises LoadFailed if it does not fit."""

    as_used = False

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model.eval()
        self.dtype = model.dtype
        self.device = model.device
        model.set_attn_implementation(ATTENTION)
        self._shapes = self._measure()

    @property
    def position_bytes(self) -> int:
        return sum(shape.position_bytes(self.dtype) for shape in self._shapes)

    def new_slots(self, num_slots: int, window: int) -> KVCache:
        return KVCache(self._shapes, num_slots, window, self.dtype, self.device)

    def logits(self, rows: AnySequence[BatchItem], slots: KVCache, should_stop: Callable[[], bool]) -> torch.Tensor:
        wanted, end = [], 0
        for row in rows:
            end += len(row.token_ids)
            if row.wants_logits:
                wanted.append(end - 1)
        token_ids = [token_id for row in rows for token_id in row.token_ids]
        positions = [row.past + offset for row in rows for offset in range(len(row.token_ids))]
        return self._run(token_ids, positions, wanted, PackedStep(slots, rows, should_stop))

    def _run(self, token_ids: list[int], positions: list[int], wanted: list[int], step: PackedBatch) -> torch.Tensor:
        # A row's logits are always kept: models differ in what they make of none.
        kept = torch.tensor(wanted or [0], device=self.device)
        output = self._model(
            input_ids=torch.tensor([token_ids], device=self.device),
            position_ids=torch.tensor([positions], device=self.device),
            use_cache=False,
            logits_to_keep=kept,
            step=step,
        )
        logits: torch.Tensor = output.logits[0, : len(wanted)]
        return logits

    def _measure(self) -> list[LayerShape]:
        measure = _Measure()
        with torch.inference_mode():
            self._run([0, 1], [0, 1], [0], measure)
        if not measure.layers or sorted(measure.layers) != list(range(len(measure.layers))):
            raise LoadFailed("This model's architecture is not supported.")
        return [measure.layers[layer] for layer in range(len(measure.layers))]
