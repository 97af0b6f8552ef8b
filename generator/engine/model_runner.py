"""Model runner: one packed forward over any number of sequences, through an unmodified transformers model.

Owns the attention function that reads and writes the slots, and moving numbers to the device and back.
Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from transformers import AttentionInterface, PreTrainedModel

from generator.engine.kv_cache import KVCache, LayerShape
from generator.engine.runner import Interrupted, LoadFailed, Row
from generator.engine.sampling import Floats
from generator.engine.vocabulary import Vocabulary

ATTENTION = "storygen_slots"

_MAX_SLOTS, _MIN_SLOTS = 16, 2
_MAX_CACHE_BYTES = 3 * 2**29
# Largest difference between packed and plain logits that rounding can explain, relative to their spread.
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}


class Step(Protocol):
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
    step: Step,
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

    def __init__(self, cache: KVCache, rows: AnySequence[Row], should_stop: Callable[[], bool]) -> None:
        self._cache = cache
        self._should_stop = should_stop
        self._spans: list[tuple[Row, int, int]] = []
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


class ModelRunner:
    """A `Runner` over `model`, which becomes its own. Raises LoadFailed if the model does not compute through
    the slots what it computes by itself."""

    seconds_per_token = 0.0

    def __init__(
        self, model: PreTrainedModel, vocabulary: Vocabulary, window: int, precision: str, num_slots: int | None = None
    ) -> None:
        self._model = model.eval()
        self._device = model.device
        self.vocabulary = vocabulary
        self.window = window
        self.precision = precision
        probe_ids = [7 * number % vocabulary.size for number in range(1, min(12, window))]
        expected = self._plain_logits(probe_ids)
        model.set_attn_implementation(ATTENTION)
        layers = self._measure(probe_ids)
        slot_bytes = 2 * sum(shape.num_heads * shape.head_dim for shape in layers) * window * model.dtype.itemsize
        self.num_slots = num_slots or max(_MIN_SLOTS, min(_MAX_SLOTS, _MAX_CACHE_BYTES // slot_bytes))
        self._cache = KVCache(layers, self.num_slots, window, model.dtype, self._device)
        self._check(probe_ids, expected)

    def forward(self, rows: AnySequence[Row], should_stop: Callable[[], bool]) -> Floats:
        for row in rows:
            self._cache.begin(row.slot, row.past)
        token_ids = [token_id for row in rows for token_id in row.token_ids]
        positions = [row.past + offset for row in rows for offset in range(len(row.token_ids))]
        wanted, end = [], 0
        for row in rows:
            end += len(row.token_ids)
            if row.wants_logits:
                wanted.append(end - 1)
        step = PackedStep(self._cache, rows, should_stop)
        logits = self._run(token_ids, positions, wanted, step)
        for row in rows:
            self._cache.commit(row.slot, row.past + len(row.token_ids))
        return logits

    def copy_slot(self, source: int, target: int, num_tokens: int) -> None:
        self._cache.copy(source, target, num_tokens)

    def check_integrity(self) -> None:
        self._cache.check_integrity()

    def _run(self, token_ids: list[int], positions: list[int], wanted: list[int], step: Step) -> Floats:
        with torch.inference_mode():
            # A row's logits are always kept: models differ in what they make of none.
            kept = torch.tensor(wanted or [0], device=self._device)
            output = self._model(
                input_ids=torch.tensor([token_ids], device=self._device),
                position_ids=torch.tensor([positions], device=self._device),
                use_cache=False,
                logits_to_keep=kept,
                step=step,
            )
            logits: Floats = output.logits[0, : len(wanted)].float().cpu().numpy()
        return logits

    def _plain_logits(self, token_ids: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            output = self._model(input_ids=torch.tensor([token_ids], device=self._device), use_cache=False)
            last: torch.Tensor = output.logits[0, -1].float().cpu()
        return last

    def _measure(self, token_ids: list[int]) -> list[LayerShape]:
        measure = _Measure()
        self._run(token_ids, list(range(len(token_ids))), [0], measure)
        if not measure.layers or sorted(measure.layers) != list(range(len(measure.layers))):
            raise LoadFailed("This model's architecture is not supported.")
        return [measure.layers[layer] for layer in range(len(measure.layers))]

    def _check(self, token_ids: list[int], expected: torch.Tensor) -> None:
        """Some tokens in two steps must give the logits the model gives by itself in one."""
        half = len(token_ids) // 2
        self.forward([Row(0, token_ids[:half], 0, False)], lambda: False)
        computed = torch.from_numpy(self.forward([Row(0, token_ids[half:], half, True)], lambda: False)[0])
        self._cache.begin(0, 0)
        difference = float((computed - expected).abs().max())
        spread = max(1.0, float(expected.std()))
        if not difference <= _TOLERANCE.get(self._model.dtype, 0.05) * spread:
            raise LoadFailed("This model's architecture is not supported: it does not compute as it should.")
