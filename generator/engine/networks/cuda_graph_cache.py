"""CUDA graph cache: KV cache slots on a GPU, and the static steps (of always the same shape) that write into them.

A step computes one token for each slot. During a prefill it also computes a chunk of one slot. Tokens without an item
are written to an extra slot that no sequence owns. Owns how items become static steps. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Sequence as AnySequence
from functools import partial

import torch
import torch.nn.functional as F

from generator.engine.networks.kv_cache import KVCache, LayerShape
from generator.engine.networks.runner import BatchItem, Interrupted

# A step without a chunk attends to a fixed number of positions of every slot: the smallest of these that suffices.
_LENGTHS = (128, 256, 512)
CHUNK = 128


class CudaGraphCache(KVCache):
    """A KV cache that computes batches by static steps.

    `capture` receives a function that makes a step. It returns a function that computes this step with the current
    contents of the inputs and returns the logits `[wanted, vocabulary]`.
    """

    def __init__(
        self,
        layers: AnySequence[LayerShape],
        num_slots: int,
        window: int,
        dtype: torch.dtype,
        device: torch.device,
        capture: Callable[[Callable[[], StaticStep]], Callable[[], torch.Tensor]],
        chunk: int = CHUNK,
    ) -> None:
        super().__init__(layers, num_slots + 1, window, dtype, device)
        self._num_slots, self._chunk = num_slots, chunk
        # The columns are tokens: id, position, slot. The last column is the chunk: its slot and its number of tokens.
        self._inputs = torch.zeros(3, num_slots + chunk + 1, dtype=torch.long, device=device)
        self._fill([], None)
        inputs = self._inputs[:, :num_slots]
        lengths = [length for length in _LENGTHS if length < window]
        self._steps = {length: capture(partial(StaticStep, self, inputs, length, 0)) for length in (*lengths, window)}
        self._chunk_step = capture(partial(StaticStep, self, self._inputs, window, chunk))

    def compute(self, items: AnySequence[BatchItem], should_stop: Callable[[], bool]) -> torch.Tensor:
        """Compute all items and return logits `[items that want logits, vocabulary]`.

        Raise Interrupted once `should_stop`, called before each step, returns true.
        """
        found: dict[int, torch.Tensor] = {}
        for singles, chunk in self._split(items):
            if should_stop():
                raise Interrupted
            self._fill(singles, chunk)
            longest = max((item.start + 1 for item in singles), default=1)
            length = min(length for length in self._steps if length >= longest)
            logits = self._steps[length]() if chunk is None else self._chunk_step()
            wanting = [item for item in (*singles, *([chunk] if chunk else [])) if item.wants_logits]
            places = [self._num_slots if item is chunk else item.slot for item in wanting]
            # Indexing copies the logits. The next step overwrites them.
            found |= zip((item.slot for item in wanting), logits[places], strict=True)
        wanted = [found[item.slot] for item in items if item.wants_logits]
        return torch.stack(wanted) if wanted else logits[:0]

    def _split(self, items: AnySequence[BatchItem]) -> Iterator[tuple[list[BatchItem], BatchItem | None]]:
        """Yield the steps that compute the items: the items of one token, and at most one chunk of a longer item."""
        singles = [item for item in items if len(item.token_ids) == 1]
        chunks = [chunk for item in items if len(item.token_ids) > 1 for chunk in self._chunks(item)]
        yield singles, chunks[0] if chunks else None
        for chunk in chunks[1:]:
            yield [], chunk

    def _chunks(self, item: BatchItem) -> Iterator[BatchItem]:
        for begin in range(0, len(item.token_ids), self._chunk):
            token_ids = item.token_ids[begin : begin + self._chunk]
            is_last = begin + len(token_ids) == len(item.token_ids)
            yield BatchItem(item.slot, token_ids, item.start + begin, item.wants_logits and is_last)

    def _fill(self, singles: AnySequence[BatchItem], chunk: BatchItem | None) -> None:
        """Write the next step's tokens into the inputs. Tokens without an item get the extra slot."""
        extra_slot = self._num_slots
        inputs = [[0, 0, extra_slot]] * (self._num_slots + self._chunk) + [[extra_slot, 1, 0]]
        for item in singles:
            inputs[item.slot] = [item.token_ids[0], item.start, item.slot]
        if chunk is not None:
            inputs[-1] = [chunk.slot, len(chunk.token_ids), 0]
            for offset, token_id in enumerate(chunk.token_ids):
                inputs[self._num_slots + offset] = [token_id, chunk.start + offset, chunk.slot]
        self._inputs.copy_(torch.tensor(inputs).t())


class StaticStep:
    """One token for each slot, and `chunk` tokens of one slot. All inputs are on the GPU, including the chunk's slot.

    `wanted` are the places of the slots' tokens and of the chunk's last token. A token without an item attends to
    the slot of its place, and its logits are ignored.
    """

    def __init__(self, cache: KVCache, inputs: torch.Tensor, length: int, chunk: int) -> None:
        num_slots = inputs.shape[1] - (chunk + 1 if chunk else 0)
        self._cache, self._length, self._num_slots, self._chunk = cache, length, num_slots, chunk
        self.token_ids, self.positions, slots = inputs[:, : num_slots + chunk]
        self._rows = cache.row_indices(slots, self.positions)
        self._is_seen = torch.arange(length, device=inputs.device) <= self.positions[:, None]
        self.wanted = torch.arange(num_slots, device=inputs.device)
        if chunk:
            self._chunk_slot, chunk_tokens, _ = inputs[:, -1:]
            self.wanted = torch.cat((self.wanted, num_slots - 1 + chunk_tokens))

    def attend(self, layer: int, qkv: torch.Tensor) -> torch.Tensor:
        """Attend with `qkv` `[tokens, heads + 2 * kv_heads, head_dim]`. Return `[tokens, heads * head_dim]`."""
        num_slots = self._num_slots
        keys, values = self._cache.read_slots(layer, 0, num_slots + 1, self._length)
        _, num_kv_heads, _, head_dim = keys.shape
        num_heads = qkv.shape[1] - 2 * num_kv_heads
        self._cache.scatter(layer, self._rows, qkv[:, num_heads:])
        # The query heads of one key head take the place of the tokens of a query, because all of them may see the
        # same positions.
        queries = qkv[:, :num_heads].reshape(len(qkv), num_kv_heads, -1, head_dim)
        mask = self._is_seen[:num_slots, None, None]
        attended = F.scaled_dot_product_attention(queries[:num_slots], keys[:-1], values[:-1], attn_mask=mask)
        attended = attended.reshape(num_slots, -1)
        if not self._chunk:
            return attended
        keys, values = keys.index_select(0, self._chunk_slot), values.index_select(0, self._chunk_slot)
        return torch.cat((attended, self._attend_chunk(queries[num_slots:], keys, values)))

    def _attend_chunk(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """Attend with the chunk's queries `[tokens, kv_heads, group, head_dim]` to its slot."""
        count, num_kv_heads, group, head_dim = queries.shape
        mask = self._is_seen[self._num_slots :].repeat_interleave(group, 0)
        by_head = queries.transpose(0, 1).reshape(1, num_kv_heads, count * group, head_dim)
        attended = F.scaled_dot_product_attention(by_head, keys, values, attn_mask=mask)
        return attended.reshape(num_kv_heads, count, group * head_dim).transpose(0, 1).reshape(count, -1)
