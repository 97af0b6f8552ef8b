"""Int8 network: the forward pass of a model whose weights, keys and values have 8 bits, on the CPU.

Owns the scratch arrays and turns the items of a step into the arrays that the threads work on. Knows nothing of text,
sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence

import numpy as np
import torch

from generator.engine.int8.attention import MAX_QUERY_TOKENS, new_attention_scratch
from generator.engine.int8.forward import compute_logits, forward_layers, num_phases
from generator.engine.int8.kv_cache import Int8KVCache
from generator.engine.int8.matmul import Activations8, Activations16, padded
from generator.engine.int8.pack_weights import pack_model, repack_weights, shape_of
from generator.engine.int8.phases import QueryChunks, Scratch, TokenBatch
from generator.engine.int8.processor import HAS_VNNI
from generator.engine.int8.simd import GROUP, LANES
from generator.engine.int8.thread_pool import abort, new_counters, shared_pool
from generator.engine.int8.weights import EightBitMatmuls, Ints, Shape
from generator.engine.networks.model_weights import ModelWeights
from generator.engine.networks.runner import BatchItem, Interrupted

DEFAULT_FORMAT = "int8-a16"
# `a8` and `a16` are the bits of the activations. The mixed format has 8 bits in the two matmuls that lose least for the
# time they save.
_FORMATS = {
    "int8-a8": EightBitMatmuls(*[True] * len(EightBitMatmuls._fields)),
    "int8-a8+16": EightBitMatmuls(output=True, up=True),
    DEFAULT_FORMAT: EightBitMatmuls(),
}

ShouldStop = Callable[[], bool]


class Int8Network:
    """A `Network` that computes the same as `model`, within the error of rounding. It keeps no tensor of the model."""

    allocates_lazily = True

    def __init__(self, model: ModelWeights, threads: int) -> None:
        self._pool = shared_pool(threads)
        self._shape, self._num_layers = shape_of(model), len(model.layers)
        self._vocabulary_size = len(model.head.weight)
        self._weights = pack_model(model, threads)
        # Half precision loses less than 8-bit weights do, and most models are stored in it.
        self._embedding = model.embedding.half().numpy()
        self._positions = None if model.positions is None else model.positions.numpy().copy()
        self._scratch = _new_scratch(self._shape, self._num_layers, 1, GROUP, threads)
        self._compile()

    def _compile(self) -> None:
        """Compile everything that a step calls, in this thread alone. Raise the compiler's errors.

        In a pool, a thread whose compiler failed would leave the other threads at a barrier forever.
        """
        pool, self._pool = self._pool, shared_pool(1)
        self.passage_logits([0])
        abort(self._scratch.counters)
        self._pool = pool

    @property
    def formats(self) -> tuple[str, ...]:
        """The formats this network can compute in, fastest first.

        Activations of 8 bits are only faster where the processor multiplies four of them at once.
        """
        return tuple(_FORMATS) if HAS_VNNI else (DEFAULT_FORMAT,)

    def use(self, name: str) -> None:
        """Compute in format `name` from now on. A new network computes in `DEFAULT_FORMAT`."""
        before, after = self._shape.eight_bit, _FORMATS[name]
        repack_weights(self._weights, before, after, self._pool.count)
        self._shape = self._shape._replace(eight_bit=after)

    @property
    def position_bytes(self) -> int:
        """The bytes of one position of a slot: keys and values, and a float32 scale for each 32 of them."""
        numbers = 2 * self._num_layers * self._shape.num_kv_heads * self._shape.head_dim
        return numbers + numbers // GROUP * 4

    def new_slots(self, num_slots: int, window: int) -> Int8KVCache:
        """Return a KV cache for this model."""
        return Int8KVCache(self._num_layers, num_slots, self._shape.num_kv_heads, self._shape.head_dim, window)

    def logits(self, items: AnySequence[BatchItem], slots: Int8KVCache, should_stop: ShouldStop) -> torch.Tensor:
        """Compute all items and return `[items that want logits, vocabulary]`. Raise Interrupted, see `Network`."""
        ends = np.cumsum([len(item.token_ids) for item in items]) - 1
        wanted = [int(end) for item, end in zip(items, ends, strict=True) if item.wants_logits]
        return self._compute(items, wanted, slots, should_stop)

    def passage_logits(self, token_ids: AnySequence[int]) -> torch.Tensor:
        """Return the logits `[tokens, vocabulary]` at every position of a text."""
        count = len(token_ids)
        return self._compute([BatchItem(0, token_ids, 0, True)], range(count), self.new_slots(1, count), lambda: False)

    def _compute(
        self, items: AnySequence[BatchItem], wanted: AnySequence[int], slots: Int8KVCache, should_stop: ShouldStop
    ) -> torch.Tensor:
        """Return the logits `[wanted, vocabulary]` of the tokens whose indices in the step are `wanted`."""
        batch, shape = _token_batch(items, wanted), self._shape
        shape = shape._replace(num_slots=len(slots.lengths), window=slots.window)
        self._prepare_scratch(items, batch, slots.window)
        outputs = padded(self._vocabulary_size)
        logits = np.empty(len(wanted) * outputs, np.float32)
        # A step with one token per sequence is short. A longer step checks before each layer whether to stop.
        stride = 1 if len(batch.slots) > len(items) else self._num_layers

        def compute(thread: int) -> None:
            layers = stride if thread == 0 else self._num_layers
            for first in range(0, self._num_layers, layers):
                if thread == 0 and should_stop():
                    raise Interrupted
                forward_layers(
                    shape, self._weights, slots.arrays, batch, self._scratch,
                    first, first + layers, thread, self._pool.count,
                )  # fmt: skip
            compute_logits(shape, self._weights, self._scratch, logits, outputs, len(wanted), self._pool.count)

        def compute_or_abort(thread: int) -> None:
            try:
                compute(thread)
            except BaseException:
                # Mostly Interrupted in thread 0: the other threads wait for it before the next layer, and leave there.
                abort(self._scratch.counters)
                raise

        self._pool.run(compute_or_abort)
        return torch.from_numpy(logits.reshape(-1, outputs)[:, : self._vocabulary_size])

    def _prepare_scratch(self, items: AnySequence[BatchItem], batch: TokenBatch, window: int) -> None:
        """Make the scratch arrays large enough, set the hidden rows to the embeddings and the counters to zero."""
        scratch, count = self._scratch, len(batch.slots)
        if count > len(scratch.activations16.scales) or window > len(scratch.attention.ones) // LANES * GROUP:
            scratch = self._scratch = _new_scratch(self._shape, self._num_layers, count, window, self._pool.count)
        hidden = self._embedding[[token_id for item in items for token_id in item.token_ids]].astype(np.float32)
        if self._positions is not None:
            hidden += self._positions[batch.positions]
        scratch.hidden[: hidden.size] = hidden.ravel()
        scratch.counters[:] = 0


def _token_batch(items: AnySequence[BatchItem], wanted: AnySequence[int]) -> TokenBatch:
    slots = [item.slot for item in items for _ in item.token_ids]
    positions = [item.start + offset for item in items for offset in range(len(item.token_ids))]
    firsts: list[int] = []
    counts: list[int] = []
    begin = 0
    for item in items:
        end = begin + len(item.token_ids)
        firsts += range(begin, end, MAX_QUERY_TOKENS)
        counts += [min(MAX_QUERY_TOKENS, end - first) for first in range(begin, end, MAX_QUERY_TOKENS)]
        begin = end
    chunks = QueryChunks(_ints(firsts), _ints(counts), _ints(firsts))
    wanted_alone = QueryChunks(_ints(wanted), _ints([1] * len(wanted)), _ints(range(len(wanted))))
    last_chunks = wanted_alone if len(wanted) < begin else chunks
    return TokenBatch(_ints(slots), _ints(positions), chunks, last_chunks, _ints(wanted))


def _ints(numbers: AnySequence[int]) -> Ints:
    return np.array(numbers, np.int64)


def _new_scratch(shape: Shape, num_layers: int, count: int, window: int, threads: int) -> Scratch:
    """Return scratch arrays for `count` tokens and slots of `window` positions."""
    attended = shape.num_heads * shape.head_dim
    qkv = attended + 2 * shape.num_kv_heads * shape.head_dim
    inputs = count * max(shape.hidden_size, attended, shape.mlp_size)
    queries = MAX_QUERY_TOKENS * shape.num_heads // shape.num_kv_heads
    return Scratch(
        hidden=np.zeros(count * shape.hidden_size, np.float32),
        wide=np.zeros(count * max(qkv, shape.up_outputs), np.float32),
        narrow=np.zeros(count * max(shape.hidden_size, attended), np.float32),
        activations8=Activations8(
            np.zeros(inputs, np.int8), np.zeros(inputs // GROUP, np.float32), np.zeros(inputs // GROUP, np.int32)
        ),
        activations16=Activations16(np.zeros(inputs, np.int16), np.zeros(count, np.float32)),
        attention=new_attention_scratch(threads, queries, shape.head_dim, window),
        counters=new_counters(num_phases(num_layers)),
    )
