"""Walk: all layers of a model over one step's tokens, by several threads at once.

Every phase of a layer is cut into pieces that the threads take in turn; they meet before the next. Owns the order of
phases. Knows nothing of slots' owners or of what tokens mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from generator.engine.int8.attention import Room, attend, put_query
from generator.engine.int8.compiling import compiled
from generator.engine.int8.product import Bytes, Floats, multiply
from generator.engine.int8.rows import add_to, gate, gelu, layer_norm, rms_norm, to_16_bits, turn
from generator.engine.int8.slots import write
from generator.engine.int8.team import meet, take
from generator.engine.int8.vectors import GROUP, LANES

Whole = npt.NDArray[np.int64]

# What a thread takes at a time of the outputs of a product: this share of what would be its own.
_PIECES = 4
# Of half a layer.
PHASES = 6
# What becomes of a product once its bias is added.
_KEEP, _ADD, _GELU, _GATE = 0, 1, 2, 3


class Shape(NamedTuple):
    """`up` counts the gates too, if there are any; `inner` doesn't."""

    width: int
    heads: int
    kv_heads: int
    head_dim: int
    up: int
    inner: int
    epsilon: float
    slots: int
    window: int


class Place(NamedTuple):
    """Where in `Weights` the parts of a layer begin; -1 where it has none. Biases are beside their weights."""

    attention_norm: int
    attention_norm_bias: int
    qkv: int
    qkv_bias: int
    output: int
    output_bias: int
    mlp_norm: int
    mlp_norm_bias: int
    up: int
    up_bias: int
    down: int
    down_bias: int


class Weights(NamedTuple):
    """Packed ones as `steps` and `scales`, those of norms and biases as `vectors`. `places` by layer. `cosines` and
    `sines` are `[positions, head_dim / 2]`, or empty where queries and keys are not turned."""

    steps: Bytes
    scales: Floats
    vectors: Floats
    places: Whole
    cosines: Floats
    sines: Floats


class Pieces(NamedTuple):
    """Of each piece of a sequence that attends together its first token, how many there are, and the row where the
    first one's means are put."""

    firsts: Whole
    counts: Whole
    rows: Whole


class Step(NamedTuple):
    """Of each token its slot and position; what attends in all layers but the last, and in that one. There only tokens
    go on whose logits are `wanted`: of the others it needs keys and values. In the end their hidden rows come first."""

    slots: Whole
    positions: Whole
    pieces: Pieces
    last_pieces: Pieces
    wanted: Whole


class Desk(NamedTuple):
    """Room to compute in. By token: `hidden`, what each layer adds to; `wide` and `narrow`, what is computed on the
    way; `rows` with `factors`, what is multiplied. `room` is attention's, `board` the team's."""

    hidden: Floats
    wide: Floats
    narrow: Floats
    rows: npt.NDArray[np.int16]
    factors: Floats
    room: Room
    board: Whole


@compiled
def walk(shape, weights, stored, step, desk, first, last, thread, threads):
    """Layers `[first, last)` over `desk.hidden`. The board must be zero."""
    count, attended = step.slots.size, shape.heads * shape.head_dim
    qkv = attended + 2 * shape.kv_heads * shape.head_dim
    for half in range(2 * first, 2 * last):
        # Both halves of a layer have a norm, a product, something of their own, and a product that is added.
        layer, phase = half // 2, (half - 2 * first) * PHASES
        place = weights.places[layer, 6 * (half % 2) :]
        if half % 2 == 0:
            outputs, inner, becomes = qkv, attended, _KEEP
        else:
            outputs, inner, becomes = shape.up, shape.inner, _GELU if shape.up == shape.inner else _GATE
        _normed(shape, weights, desk, place[0], place[1], count, phase, threads)
        _product(desk.wide, weights, place[2], place[3], desk, shape.width, outputs, becomes, count, phase + 1, threads)
        if half % 2 == 0:
            _write(shape, weights, stored, step, desk, layer, qkv, phase + 2, threads)
            pieces = step.pieces
            if layer == weights.places.shape[0] - 2:
                pieces, count = step.last_pieces, step.wanted.size
                if thread == 0:
                    _keep_wanted(desk.hidden, shape.width, step.wanted)
            _attend(shape, stored, step, pieces, desk, layer, qkv, phase + 3, thread, threads)
        else:
            meet(desk.board, phase + 2, threads)
            meet(desk.board, phase + 3, threads)
        numbers, stride = (desk.narrow, attended) if half % 2 == 0 else (desk.wide, shape.up)
        _rounded(desk, numbers, inner, stride, count, phase + 4, threads)
        _product(desk.narrow, weights, place[4], place[5], desk, inner, shape.width, _ADD, count, phase + 5, threads)


@compiled
def finish(shape, weights, desk, logits, outputs, count, thread, threads):
    """The logits `[count, outputs]` of the first rows of `desk.hidden`. The board must be zero."""
    place = weights.places[-1]
    _normed(shape, weights, desk, place[0], place[1], count, 0, threads)
    _product(logits, weights, place[2], place[3], desk, shape.width, outputs, _KEEP, count, 1, threads)


@compiled
def _normed(shape, weights, desk, norm, bias, count, phase, threads):
    """The hidden rows, normed and rounded."""
    width, epsilon = shape.width, np.float32(shape.epsilon)
    factors = weights.vectors[norm : norm + width]
    row = take(desk.board, phase)
    while row < count:
        begin, end = row * width, (row + 1) * width
        if bias >= 0:
            biases = weights.vectors[bias : bias + width]
            layer_norm(desk.hidden[begin:end], factors, biases, epsilon, desk.narrow[begin:end])
        else:
            rms_norm(desk.hidden[begin:end], factors, epsilon, desk.narrow[begin:end])
        desk.factors[row] = to_16_bits(desk.narrow[begin:end], desk.rows[begin:end])
        row = take(desk.board, phase)
    meet(desk.board, phase, threads)


@compiled
def _rounded(desk, numbers, inputs, stride, count, phase, threads):
    row = take(desk.board, phase)
    while row < count:
        begin = row * stride
        rows = desk.rows[row * inputs : (row + 1) * inputs]
        desk.factors[row] = to_16_bits(numbers[begin : begin + inputs], rows)
        row = take(desk.board, phase)
    meet(desk.board, phase, threads)


@compiled
def _product(out, weights, at, bias, desk, inputs, outputs, becomes, count, phase, threads):
    """The rounded rows times a weight `[outputs, inputs]`, into `out` `[rows, outputs]`."""
    blocks = outputs // LANES if becomes != _GATE else outputs // LANES // 2
    size = -(-blocks // (_PIECES * threads))
    piece = take(desk.board, phase)
    while piece * size < blocks:
        begin, end = piece * size, min(blocks, (piece + 1) * size)
        for part in range(2 if becomes == _GATE else 1):
            multiply(
                out, 0, outputs, desk.rows, 0, desk.factors, count, inputs,
                weights.steps, at, weights.scales, at // GROUP, part * blocks + begin, part * blocks + end,
            )  # fmt: skip
        for row in range(count):
            _finish(
                out, row * outputs, begin * LANES, end * LANES, desk.hidden, weights.vectors, bias, becomes, outputs
            )
        piece = take(desk.board, phase)
    meet(desk.board, phase, threads)


@compiled
def _finish(out, row_at, begin, end, hidden, vectors, bias, becomes, outputs):
    numbers = out[row_at + begin : row_at + end]
    if bias >= 0:
        add_to(numbers, vectors[bias + begin : bias + end])
    if becomes == _ADD:
        add_to(hidden[row_at + begin : row_at + end], numbers)
    elif becomes == _GELU:
        gelu(numbers)
    elif becomes == _GATE:
        values_at = row_at + outputs // 2
        gate(numbers, out[values_at + begin : values_at + end])


@compiled
def _write(shape, weights, stored, step, desk, layer, qkv, phase, threads):
    """Turn queries and keys; put keys and values into their slots."""
    dims, group = shape.head_dim, shape.heads // shape.kv_heads
    piece = take(desk.board, phase)
    while piece < step.slots.size * shape.kv_heads:
        token, head = divmod(piece, shape.kv_heads)
        position, at = step.positions[token], token * qkv
        key_at = at + (shape.heads + head) * dims
        value_at = key_at + shape.kv_heads * dims
        if weights.cosines.size > 0:
            begin, end = position * dims // 2, (position + 1) * dims // 2
            cosines, sines = weights.cosines[begin:end], weights.sines[begin:end]
            turn(desk.wide[key_at : key_at + dims], cosines, sines)
            for query in range(head * group, (head + 1) * group):
                turn(desk.wide[at + query * dims : at + (query + 1) * dims], cosines, sines)
        head_at = _head_at(shape, layer, step.slots[token], head)
        key, value = desk.wide[key_at : key_at + dims], desk.wide[value_at : value_at + dims]
        write(stored, head_at, shape.window, position, key, value)
        piece = take(desk.board, phase)
    meet(desk.board, phase, threads)


@compiled
def _attend(shape, stored, step, pieces, desk, layer, qkv, phase, thread, threads):
    dims, group = shape.head_dim, shape.heads // shape.kv_heads
    piece = take(desk.board, phase)
    while piece < pieces.firsts.size * shape.kv_heads:
        which, head = divmod(piece, shape.kv_heads)
        first, count = pieces.firsts[which], pieces.counts[which]
        for row in range(count * group):
            at = (first + row // group) * qkv + (head * group + row % group) * dims
            put_query(desk.room, thread, row, desk.wide[at : at + dims])
        head_at = _head_at(shape, layer, step.slots[first], head)
        attend(stored, head_at, shape.window, dims, step.positions[first], desk.room, thread, count, group)
        for row in range(count * group):
            at = ((pieces.rows[which] + row // group) * shape.heads + head * group + row % group) * dims
            desk.narrow[at : at + dims] = desk.room.means[thread, row * dims : (row + 1) * dims]
        piece = take(desk.board, phase)
    meet(desk.board, phase, threads)


@compiled
def _keep_wanted(hidden, width, wanted):
    """None of them is moved on, so none is overwritten before it was moved."""
    for row in range(wanted.size):
        begin = wanted[row] * width
        hidden[row * width : (row + 1) * width] = hidden[begin : begin + width]


@compiled
def _head_at(shape, layer, slot, head):
    return ((layer * shape.slots + slot) * shape.kv_heads + head) * shape.head_dim * shape.window
