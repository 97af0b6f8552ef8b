"""Int8 network: one step's rows through a model whose weights, keys and values have 8 bits, on the CPU.

Owns how a step is put before the team. Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from typing import Any

import numpy as np
import torch

from generator.engine.families import ModelWeights
from generator.engine.int8.attention import TOKENS, new_room
from generator.engine.int8.layout import lay_out, shape_of
from generator.engine.int8.product import padded
from generator.engine.int8.slots import Slots
from generator.engine.int8.team import team_of
from generator.engine.int8.vectors import GROUP, LANES
from generator.engine.int8.walk import PHASES, Desk, Pieces, Shape, Step, Whole, finish, walk
from generator.engine.runner import Interrupted, Row


class Int8Network:
    """Computes as `model` does, within rounding; keeps nothing of it."""

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
        self._team = team

    @property
    def position_bytes(self) -> int:
        numbers = 2 * self._num_layers * self._shape.kv_heads * self._shape.head_dim
        return numbers + numbers // GROUP * 4

    def new_slots(self, num_slots: int, window: int) -> Slots:
        return Slots(self._num_layers, num_slots, self._shape.kv_heads, self._shape.head_dim, window)

    def logits(self, rows: AnySequence[Row], slots: Slots, should_stop: Callable[[], bool]) -> torch.Tensor:
        ends = np.cumsum([len(row.token_ids) for row in rows]) - 1
        wanted = [int(end) for row, end in zip(rows, ends, strict=True) if row.wants_logits]
        self._compute(rows, wanted, slots, should_stop)
        return self._logits_of(len(wanted))

    def passage_logits(self, token_ids: AnySequence[int]) -> torch.Tensor:
        count = len(token_ids)
        self._compute([Row(0, token_ids, 0, True)], range(count), self.new_slots(1, count), lambda: False)
        return self._logits_of(count)

    def _compute(
        self, rows: AnySequence[Row], wanted: AnySequence[int], slots: Slots, should_stop: Callable[[], bool]
    ) -> None:
        """All layers; leaves the hidden rows of the wanted tokens first on the desk."""
        step = _step_of(rows, wanted)
        count, shape = len(step.slots), self._shape._replace(slots=len(slots.lengths), window=slots.window)
        if count > len(self._desk.factors) or slots.window > len(self._desk.room.ones) // LANES * GROUP:
            self._desk = _new_desk(shape, self._num_layers, count, slots.window, self._team.count)
        hidden = self._embedding[[token_id for row in rows for token_id in row.token_ids]].astype(np.float32)
        if self._positions is not None:
            hidden += self._positions[step.positions]
        self._desk.hidden[: hidden.size] = hidden.ravel()
        # A step that computes one token of each sequence is over soon; a longer one is watched.
        at_once = self._num_layers if count == len(rows) else 1
        for first in range(0, self._num_layers, at_once):
            if should_stop():
                raise Interrupted
            self._run(walk, shape, self._weights, slots.stored, step, self._desk, first, first + at_once)

    def _logits_of(self, count: int) -> torch.Tensor:
        """The logits of the first `count` hidden rows on the desk."""
        outputs = padded(self._vocabulary_size)
        logits = np.empty(count * outputs, np.float32)
        self._run(finish, self._shape, self._weights, self._desk, logits, outputs, count)
        return torch.from_numpy(logits.reshape(-1, outputs)[:, : self._vocabulary_size])

    def _run(self, function: Callable[..., None], *arguments: Any) -> None:
        self._desk.board[:] = 0
        self._team.run(lambda thread: function(*arguments, thread, self._team.count))


def _step_of(rows: AnySequence[Row], wanted: AnySequence[int]) -> Step:
    slots = [row.slot for row in rows for _ in row.token_ids]
    positions = [row.past + offset for row in rows for offset in range(len(row.token_ids))]
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
    return Step(_whole(slots), _whole(positions), pieces, alone if len(wanted) < begin else pieces, _whole(wanted))


def _whole(numbers: AnySequence[int]) -> Whole:
    return np.array(numbers, np.int64)


def _queries_of(shape: Shape) -> int:
    """How many rows attend together at most."""
    return TOKENS * shape.heads // shape.kv_heads


def _new_desk(shape: Shape, num_layers: int, count: int, window: int, threads: int) -> Desk:
    attended = shape.heads * shape.head_dim
    qkv = attended + 2 * shape.kv_heads * shape.head_dim
    return Desk(
        hidden=np.zeros(count * shape.width, np.float32),
        wide=np.zeros(count * max(qkv, shape.up), np.float32),
        narrow=np.zeros(count * max(shape.width, attended), np.float32),
        rows=np.zeros(count * max(shape.width, attended, shape.inner), np.int16),
        factors=np.zeros(count, np.float32),
        room=new_room(threads, _queries_of(shape), shape.head_dim, window),
        board=np.zeros(1 + 2 * PHASES * num_layers, np.int64),
    )
