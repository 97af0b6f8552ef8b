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
from generator.engine.int8.attention import TOKENS
from generator.engine.int8.layout import lay_out, shape_of
from generator.engine.int8.product import padded
from generator.engine.int8.slots import Slots
from generator.engine.int8.team import team_of
from generator.engine.int8.vectors import GROUP
from generator.engine.int8.walk import PHASES, Desk, Shape, Step, finish, walk
from generator.engine.runner import Interrupted, Row


class Int8Network:
    """Computes as `model` does, within rounding; keeps nothing of it."""

    def __init__(self, model: ModelWeights, threads: int) -> None:
        self._team = team_of(threads)
        self._shape, self._num_layers = shape_of(model), len(model.layers)
        self._vocabulary_size = len(model.head.weight)
        self._weights = lay_out(model, self._team)
        # Half precision loses less than the weights do, and is what most models are kept in.
        self._embedding = model.embedding.half().numpy()
        self._positions = None if model.positions is None else model.positions.numpy().copy()
        self._desk = _new_desk(self._shape, self._num_layers, 1, 1, threads)
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
        self._compute(rows, slots, should_stop)
        ends = np.cumsum([len(row.token_ids) for row in rows]) - 1
        return self._logits_of([int(end) for row, end in zip(rows, ends, strict=True) if row.wants_logits])

    def passage_logits(self, token_ids: AnySequence[int]) -> torch.Tensor:
        self._compute([Row(0, token_ids, 0, True)], self.new_slots(1, len(token_ids)), lambda: False)
        return self._logits_of(range(len(token_ids)))

    def _compute(self, rows: AnySequence[Row], slots: Slots, should_stop: Callable[[], bool]) -> None:
        """All layers; leaves the tokens' hidden rows on the desk."""
        step = _step_of(rows)
        count, shape = len(step.slots), self._shape._replace(slots=len(slots.lengths), window=slots.window)
        if count > len(self._desk.factors) or slots.window > self._desk.scores.shape[1] // _queries_of(shape):
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

    def _logits_of(self, wanted: AnySequence[int]) -> torch.Tensor:
        """The logits of these tokens of the step that was computed last."""
        outputs = padded(self._vocabulary_size)
        logits = np.empty(len(wanted) * outputs, np.float32)
        hidden = self._desk.hidden.reshape(-1, self._shape.width)[list(wanted)].ravel()
        self._run(finish, self._shape, self._weights, self._desk._replace(hidden=hidden), logits, outputs, len(wanted))
        return torch.from_numpy(logits.reshape(-1, outputs)[:, : self._vocabulary_size])

    def _run(self, function: Callable[..., None], *arguments: Any) -> None:
        self._desk.board[:] = 0
        self._team.run(lambda thread: function(*arguments, thread, self._team.count))


def _step_of(rows: AnySequence[Row]) -> Step:
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
    return Step(*(np.array(numbers, np.int64) for numbers in (slots, positions, firsts, counts)))


def _queries_of(shape: Shape) -> int:
    """How many rows attend together at most."""
    return TOKENS * shape.heads // shape.kv_heads


def _new_desk(shape: Shape, num_layers: int, count: int, window: int, threads: int) -> Desk:
    attended, queries = shape.heads * shape.head_dim, _queries_of(shape)
    qkv = attended + 2 * shape.kv_heads * shape.head_dim
    return Desk(
        hidden=np.zeros(count * shape.width, np.float32),
        wide=np.zeros(count * max(qkv, shape.up), np.float32),
        narrow=np.zeros(count * max(shape.width, attended), np.float32),
        rows=np.zeros(count * max(shape.width, attended, shape.inner), np.int16),
        factors=np.zeros(count, np.float32),
        queries=np.zeros((threads, queries * shape.head_dim), np.int16),
        query_factors=np.zeros((threads, queries), np.float32),
        scores=np.zeros((threads, queries * window), np.float32),
        weighed=np.zeros((threads, queries * shape.head_dim), np.float32),
        board=np.zeros(1 + 2 * PHASES * num_layers, np.int64),
    )
