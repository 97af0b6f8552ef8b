"""Graph network: a family's forward on a GPU, where a step in which everybody writes is one captured graph.

Launching the operations of a step one by one takes the CPU many times what the GPU needs for them. A captured step
computes all slots, whoever writes; what it computes of the others goes to a slot that nobody holds. Knows nothing of
text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from functools import partial

import torch
import torch.nn.functional as F

from generator.engine.kv_cache import KVCache, LayerShape
from generator.engine.packed_network import PackedNetwork, Step
from generator.engine.runner import Row

# A graph reads so many positions of every slot, whatever they hold: the fewest that do.
_LENGTHS = (128, 256, 512)
_WARM_UPS = 2


class GraphNetwork(PackedNetwork):
    """A `Network` over `model`, whose weights are on a GPU."""

    def new_slots(self, num_slots: int, window: int) -> GraphSlots:
        return GraphSlots(self._shapes, num_slots, window, self.dtype, self.device, self._prepare)

    def logits(self, rows: AnySequence[Row], slots: KVCache, should_stop: Callable[[], bool]) -> torch.Tensor:
        if isinstance(slots, GraphSlots) and all(len(row.token_ids) == 1 for row in rows):
            return slots.decode(rows)
        return super().logits(rows, slots, should_stop)

    def _prepare(self, begin: Callable[[], Step]) -> Callable[[], torch.Tensor]:
        return _captured(lambda: self._logits_of(self._hidden(begin())), self.device)


def _captured(compute: Callable[[], torch.Tensor], device: torch.device) -> Callable[[], torch.Tensor]:
    """`compute` as a graph to replay. Its result is always in the same place."""
    with torch.inference_mode(), torch.cuda.device(device):
        here, beside = torch.cuda.current_stream(), torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        beside.wait_stream(here)
        with torch.cuda.stream(beside):
            for _ in range(_WARM_UPS):
                compute()
        here.wait_stream(beside)
        graph = torch.cuda.CUDAGraph()
        # Another thread may be writing with another model meanwhile.
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            result = compute()

    def replay() -> torch.Tensor:
        graph.replay()
        return result

    return replay


class GraphSlots(KVCache):
    """Slots and the captured steps that write into them."""

    def __init__(
        self,
        layers: AnySequence[LayerShape],
        num_slots: int,
        window: int,
        dtype: torch.dtype,
        device: torch.device,
        prepare: Callable[[Callable[[], Step]], Callable[[], torch.Tensor]],
    ) -> None:
        super().__init__(layers, num_slots + 1, window, dtype, device)
        self._nobody = num_slots
        # Of each slot: the newest token, its position, and the slot that its keys and values go to.
        self._inputs = torch.zeros(3, num_slots, dtype=torch.long, device=device)
        self._write_inputs([])
        lengths = [length for length in _LENGTHS if length < window]
        self._steps = {
            length: prepare(partial(_DecodeStep, self, self._inputs, length)) for length in (*lengths, window)
        }

    def decode(self, rows: AnySequence[Row]) -> torch.Tensor:
        """One token of each of `rows`. Returns `[rows that want them, vocabulary]`."""
        self._write_inputs(rows)
        longest = max(row.past + 1 for row in rows)
        logits = self._steps[min(length for length in self._steps if length >= longest)]()
        return logits[[row.slot for row in rows if row.wants_logits]]

    def _write_inputs(self, rows: AnySequence[Row]) -> None:
        inputs = [[0, 0, self._nobody]] * self._nobody
        for row in rows:
            inputs[row.slot] = [row.token_ids[0], row.past, row.slot]
        self._inputs.copy_(torch.tensor(inputs).t())


class _DecodeStep:
    """A `Step` of one token for each slot; slots without a row attend to whatever they hold."""

    def __init__(self, slots: KVCache, inputs: torch.Tensor, length: int) -> None:
        self._slots, self._length = slots, length
        self.token_ids, self.positions, targets = inputs
        self._lines = slots.lines_of(targets, self.positions)
        places = torch.arange(length, device=inputs.device)
        self._mask = (places <= self.positions[:, None])[:, None, None]

    def attend(self, layer: int, qkv: torch.Tensor) -> torch.Tensor:
        keys, values = self._slots.read_slots(layer, 0, len(qkv), self._length)
        _, num_kv_heads, _, head_dim = keys.shape
        num_heads = qkv.shape[1] - 2 * num_kv_heads
        self._slots.scatter(layer, self._lines, qkv[:, num_heads:])
        # Heads that share a key stand where several tokens would: all of them may see everything.
        queries = qkv[:, :num_heads].reshape(len(qkv), num_kv_heads, -1, head_dim)
        attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=self._mask)
        return attended.reshape(len(qkv), -1)
