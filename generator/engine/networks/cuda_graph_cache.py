"""Graph slots: slots on a GPU, and the steps of always the same shape that write into them.

A step has one token for each slot, whoever writes, and in a prefill a chunk of one slot besides. What is computed for
nobody goes to a slot that nobody holds. Owns how rows become such steps. Knows nothing of what a model computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Sequence as AnySequence
from functools import partial

import torch
import torch.nn.functional as F

from generator.engine.networks.kv_cache import KVCache, LayerShape
from generator.engine.networks.runner import BatchItem, Interrupted

# A step without a chunk reads so many positions of every slot, whatever they hold: the fewest that do.
_LENGTHS = (128, 256, 512)
CHUNK = 128


class CudaGraphCache(KVCache):
    """`prepare` makes a function that computes the logits `[wanted, vocabulary]` of a step, whatever is in the inputs
    by then, from one that begins the step."""

    def __init__(
        self,
        layers: AnySequence[LayerShape],
        num_slots: int,
        window: int,
        dtype: torch.dtype,
        device: torch.device,
        prepare: Callable[[Callable[[], StaticStep]], Callable[[], torch.Tensor]],
        chunk: int = CHUNK,
    ) -> None:
        super().__init__(layers, num_slots + 1, window, dtype, device)
        self._num_slots, self._chunk = num_slots, chunk
        # Of each token: its id, its position and its slot; then the chunk's slot and how many tokens it has.
        self._inputs = torch.zeros(3, num_slots + chunk + 1, dtype=torch.long, device=device)
        self._fill([], None)
        short = self._inputs[:, :num_slots]
        lengths = [length for length in _LENGTHS if length < window]
        self._steps = {length: prepare(partial(StaticStep, self, short, length, 0)) for length in (*lengths, window)}
        self._long_step = prepare(partial(StaticStep, self, self._inputs, window, chunk))

    def compute(self, rows: AnySequence[BatchItem], should_stop: Callable[[], bool]) -> torch.Tensor:
        """The logits `[rows that want them, vocabulary]`. Raises Interrupted."""
        found: dict[int, torch.Tensor] = {}
        for singles, piece in self._passes(rows):
            if should_stop():
                raise Interrupted
            self._fill(singles, piece)
            longest = max((row.past + 1 for row in singles), default=1)
            length = min(length for length in self._steps if length >= longest)
            logits = self._steps[length]() if piece is None else self._long_step()
            wanting = [row for row in (*singles, *([piece] if piece else [])) if row.wants_logits]
            places = [self._num_slots if row is piece else row.slot for row in wanting]
            # A copy, as the next step computes into the same place.
            found |= zip((row.slot for row in wanting), logits[places], strict=True)
        wanted = [found[row.slot] for row in rows if row.wants_logits]
        return torch.stack(wanted) if wanted else logits[:0]

    def _passes(self, rows: AnySequence[BatchItem]) -> Iterator[tuple[list[BatchItem], BatchItem | None]]:
        """Steps that compute the rows one after another: those of one token, and at most one chunk of another."""
        singles = [row for row in rows if len(row.token_ids) == 1]
        pieces = [piece for row in rows if len(row.token_ids) > 1 for piece in self._cut(row)]
        yield singles, pieces[0] if pieces else None
        for piece in pieces[1:]:
            yield [], piece

    def _cut(self, row: BatchItem) -> Iterator[BatchItem]:
        for begin in range(0, len(row.token_ids), self._chunk):
            token_ids = row.token_ids[begin : begin + self._chunk]
            is_last = begin + len(token_ids) == len(row.token_ids)
            yield BatchItem(row.slot, token_ids, row.past + begin, row.wants_logits and is_last)

    def _fill(self, singles: AnySequence[BatchItem], piece: BatchItem | None) -> None:
        nobody = self._num_slots
        inputs = [[0, 0, nobody]] * (nobody + self._chunk) + [[nobody, 1, 0]]
        for row in singles:
            inputs[row.slot] = [row.token_ids[0], row.past, row.slot]
        if piece is not None:
            inputs[-1] = [piece.slot, len(piece.token_ids), 0]
            for offset, token_id in enumerate(piece.token_ids):
                inputs[nobody + offset] = [token_id, piece.past + offset, piece.slot]
        self._inputs.copy_(torch.tensor(inputs).t())


class StaticStep:
    """One token for each slot, and `chunk` tokens of one slot. All of it is on the GPU, also which slot that is.

    `wanted` are the slots' tokens and the chunk's last one. Tokens of nobody attend to whatever stands there."""

    def __init__(self, cache: KVCache, inputs: torch.Tensor, length: int, chunk: int) -> None:
        num_slots = inputs.shape[1] - (chunk + 1 if chunk else 0)
        self._cache, self._length, self._num_slots, self._chunk = cache, length, num_slots, chunk
        self.token_ids, self.positions, targets = inputs[:, : num_slots + chunk]
        self._lines = cache.lines_of(targets, self.positions)
        self._is_seen = torch.arange(length, device=inputs.device) <= self.positions[:, None]
        self.wanted = torch.arange(num_slots, device=inputs.device)
        if chunk:
            self._chunk_slot, chunk_tokens, _ = inputs[:, -1:]
            self.wanted = torch.cat((self.wanted, num_slots - 1 + chunk_tokens))

    def attend(self, layer: int, qkv: torch.Tensor) -> torch.Tensor:
        """`qkv` is `[tokens, heads + 2 * kv_heads, head_dim]`. Returns `[tokens, heads * head_dim]`."""
        num_slots = self._num_slots
        keys, values = self._cache.read_slots(layer, 0, num_slots + 1, self._length)
        _, num_kv_heads, _, head_dim = keys.shape
        num_heads = qkv.shape[1] - 2 * num_kv_heads
        self._cache.scatter(layer, self._lines, qkv[:, num_heads:])
        # Heads that share a key stand where several tokens would: all of them may see the same.
        queries = qkv[:, :num_heads].reshape(len(qkv), num_kv_heads, -1, head_dim)
        mask = self._is_seen[:num_slots, None, None]
        attended = F.scaled_dot_product_attention(queries[:num_slots], keys[:-1], values[:-1], attn_mask=mask)
        attended = attended.reshape(num_slots, -1)
        if not self._chunk:
            return attended
        keys, values = keys.index_select(0, self._chunk_slot), values.index_select(0, self._chunk_slot)
        return torch.cat((attended, self._attend_chunk(queries[num_slots:], keys, values)))

    def _attend_chunk(self, queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """`queries` are `[tokens, kv_heads, group, head_dim]`."""
        count, num_kv_heads, group, head_dim = queries.shape
        mask = self._is_seen[self._num_slots :].repeat_interleave(group, 0)
        by_head = queries.transpose(0, 1).reshape(1, num_kv_heads, count * group, head_dim)
        attended = F.scaled_dot_product_attention(by_head, keys, values, attn_mask=mask)
        return attended.reshape(num_kv_heads, count, group * head_dim).transpose(0, 1).reshape(count, -1)
