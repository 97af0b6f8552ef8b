"""Int8 network: one step's rows through a model whose weights, keys and values have 8 bits, on the CPU.

Owns how a step is put before the team. Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence

import numpy as np
import torch

from generator.engine.int8.attention import TOKENS, new_room
from generator.engine.int8.forward import Pieces, Scratch, TokenBatch, finish, phases_of, walk
from generator.engine.int8.kv_cache import Int8KVCache
from generator.engine.int8.matmul import Activations8, Activations16, padded
from generator.engine.int8.pack_weights import lay_out, make_ready, shape_of
from generator.engine.int8.processor import HAS_VNNI
from generator.engine.int8.simd import GROUP, LANES
from generator.engine.int8.thread_pool import end, new_board, team_of
from generator.engine.int8.weights import QuantizedMatrices, Shape, Whole
from generator.engine.networks.model_weights import ModelWeights
from generator.engine.networks.runner import BatchItem, Interrupted

DEFAULT_FORMAT = "int8-a16"
# By the bits that rows have: 8 in all products, 8 in those that lose least for the time they save, 16 in all.
_FORMATS = {
    "int8-a8": QuantizedMatrices(*[True] * len(QuantizedMatrices._fields)),
    "int8-a8+16": QuantizedMatrices(output=True, up=True),
    DEFAULT_FORMAT: QuantizedMatrices(),
}

ShouldStop = Callable[[], bool]


class Int8Network:
    """Computes as `model` does, within rounding; keeps nothing of it."""

    allocates_lazily = True

    def __init__(self, model: ModelWeights, threads: int) -> None:
        self._team = team_of(threads)
        self._shape, self._num_layers = shape_of(model), len(model.layers)
        self._vocabulary_size = len(model.head.weight)
        self._weights = lay_out(model, threads)
        # Half precision loses less than the weights do, and is what most models are kept in.
        self._embedding = model.embedding.half().numpy()
        self._positions = None if model.positions is None else model.positions.numpy().copy()
        self._desk = _new_desk(self._shape, self._num_layers, 1, GROUP, threads)
        self._compile()

    def _compile(self) -> None:
        """What a step calls, now, by this thread alone: one of several that failed to would leave the others waiting
        for ever. Raises what the compiler raises."""
        team, self._team = self._team, team_of(1)
        self.passage_logits([0])
        end(self._desk.board)
        self._team = team

    @property
    def formats(self) -> tuple[str, ...]:
        """Fastest first. Rows of 8 bits only pay where the processor multiplies four of them at once."""
        return tuple(_FORMATS) if HAS_VNNI else (DEFAULT_FORMAT,)

    def use(self, name: str) -> None:
        """Compute in one of the formats from now on; at first it is `DEFAULT_FORMAT`."""
        before, after = self._shape.in_8_bits, _FORMATS[name]
        make_ready(self._weights, before, after, self._team.count)
        self._shape = self._shape._replace(in_8_bits=after)

    @property
    def position_bytes(self) -> int:
        numbers = 2 * self._num_layers * self._shape.kv_heads * self._shape.head_dim
        return numbers + numbers // GROUP * 4

    def new_slots(self, num_slots: int, window: int) -> Int8KVCache:
        return Int8KVCache(self._num_layers, num_slots, self._shape.kv_heads, self._shape.head_dim, window)

    def logits(self, items: AnySequence[BatchItem], slots: Int8KVCache, should_stop: ShouldStop) -> torch.Tensor:
        ends = np.cumsum([len(item.token_ids) for item in items]) - 1
        wanted = [int(end) for item, end in zip(items, ends, strict=True) if item.wants_logits]
        return self._compute(items, wanted, slots, should_stop)

    def passage_logits(self, token_ids: AnySequence[int]) -> torch.Tensor:
        count = len(token_ids)
        rows = [BatchItem(0, token_ids, 0, True)]
        return self._compute(rows, range(count), self.new_slots(1, count), lambda: False)

    def _compute(
        self, rows: AnySequence[BatchItem], wanted: AnySequence[int], slots: Int8KVCache, should_stop: ShouldStop
    ) -> torch.Tensor:
        """The logits of the wanted tokens."""
        step = _step_of(rows, wanted)
        count, shape = len(step.slots), self._shape._replace(slots=len(slots.lengths), window=slots.window)
        if count > len(self._desk.rows16.factors) or slots.window > len(self._desk.room.ones) // LANES * GROUP:
            self._desk = _new_desk(shape, self._num_layers, count, slots.window, self._team.count)
        hidden = self._embedding[[token_id for row in rows for token_id in row.token_ids]].astype(np.float32)
        if self._positions is not None:
            hidden += self._positions[step.positions]
        self._desk.hidden[: hidden.size] = hidden.ravel()
        self._desk.board[:] = 0
        outputs = padded(self._vocabulary_size)
        logits = np.empty(len(wanted) * outputs, np.float32)
        # A step that computes one token of each sequence is over soon; a longer one is watched.
        watched = 1 if count > len(rows) else self._num_layers

        def job(thread: int) -> None:
            stride = watched if thread == 0 else self._num_layers
            for first in range(0, self._num_layers, stride):
                if thread == 0 and should_stop():
                    raise Interrupted
                walk(
                    shape, self._weights, slots.stored, step, self._desk,
                    first, first + stride, thread, self._team.count,
                )  # fmt: skip
            finish(shape, self._weights, self._desk, logits, outputs, len(wanted), self._team.count)

        def job_or_end(thread: int) -> None:
            try:
                job(thread)
            except BaseException:
                # Mostly thread 0, between two layers: there the others wait for it, and leave with it.
                end(self._desk.board)
                raise

        self._team.run(job_or_end)
        return torch.from_numpy(logits.reshape(-1, outputs)[:, : self._vocabulary_size])


def _step_of(rows: AnySequence[BatchItem], wanted: AnySequence[int]) -> TokenBatch:
    slots = [row.slot for row in rows for _ in row.token_ids]
    positions = [row.start + offset for row in rows for offset in range(len(row.token_ids))]
    firsts: list[int] = []
    counts: list[int] = []
    begin = 0
    for row in rows:
        end = begin + len(row.token_ids)
        firsts += range(begin, end, TOKENS)
        counts += [min(TOKENS, end - first) for first in range(begin, end, TOKENS)]
        begin = end
    pieces = Pieces(_whole(firsts), _whole(counts), _whole(firsts))
    alone = Pieces(_whole(wanted), _whole([1] * len(wanted)), _whole(range(len(wanted))))
    return TokenBatch(
        _whole(slots), _whole(positions), pieces, alone if len(wanted) < begin else pieces, _whole(wanted)
    )


def _whole(numbers: AnySequence[int]) -> Whole:
    return np.array(numbers, np.int64)


def _queries_of(shape: Shape) -> int:
    """How many rows attend together at most."""
    return TOKENS * shape.heads // shape.kv_heads


def _new_desk(shape: Shape, num_layers: int, count: int, window: int, threads: int) -> Scratch:
    attended = shape.heads * shape.head_dim
    qkv = attended + 2 * shape.kv_heads * shape.head_dim
    most = count * max(shape.width, attended, shape.inner)
    return Scratch(
        hidden=np.zeros(count * shape.width, np.float32),
        wide=np.zeros(count * max(qkv, shape.up), np.float32),
        narrow=np.zeros(count * max(shape.width, attended), np.float32),
        rows8=Activations8(
            np.zeros(most, np.int8), np.zeros(most // GROUP, np.float32), np.zeros(most // GROUP, np.int32)
        ),
        rows16=Activations16(np.zeros(most, np.int16), np.zeros(count, np.float32)),
        room=new_room(threads, _queries_of(shape), shape.head_dim, window),
        board=new_board(phases_of(num_layers)),
    )
