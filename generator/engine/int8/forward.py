"""Walk: all layers of a model over one step's tokens, by several threads at once.

Every phase of a layer is cut into pieces that the threads take in turn; they meet before the next. Thread 0 leads: it
may walk a few layers at a time and look around between them, while the others wait for it. Owns the order of phases.
Knows nothing of slots' owners or of what tokens mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from generator.engine.int8.attention import AttentionScratch, attend, put_query
from generator.engine.int8.compiling import compiled
from generator.engine.int8.kv_cache import write
from generator.engine.int8.matmul import Activations8, Activations16, Floats, multiply
from generator.engine.int8.row_ops import add_to, gate, gelu, layer_norm, rms_norm, to_8_bits, to_16_bits, turn
from generator.engine.int8.simd import GROUP, LANES
from generator.engine.int8.thread_pool import is_over, meet, take
from generator.engine.int8.weights import Whole

# What a thread takes at a time of the outputs of a product: this share of what would be its own.
_PIECES = 4
# Of half a layer; in the first they only meet.
_PHASES = 7
# What becomes of a product once its bias is added.
_KEEP, _ADD, _GELU, _GATE = 0, 1, 2, 3


class Pieces(NamedTuple):
    """Of each piece of a sequence that attends together its first token, how many there are, and the row where the
    first one's means are put."""

    firsts: Whole
    counts: Whole
    rows: Whole


class TokenBatch(NamedTuple):
    """Of each token its slot and position; what attends in all layers but the last, and in that one. There only tokens
    go on whose logits are `wanted`: of the others it needs keys and values. In the end their hidden rows come first."""

    slots: Whole
    positions: Whole
    pieces: Pieces
    last_pieces: Pieces
    wanted: Whole


class Scratch(NamedTuple):
    """Room to compute in. By token: `hidden`, what each layer adds to; `wide` and `narrow`, what is computed on the
    way; `rows8` or `rows16`, what is multiplied. `room` is attention's, `board` the team's."""

    hidden: Floats
    wide: Floats
    narrow: Floats
    rows8: Activations8
    rows16: Activations16
    room: AttentionScratch
    board: Whole


def phases_of(num_layers: int) -> int:
    """How many a board must have room for."""
    return 2 * _PHASES * (num_layers + 1)


@compiled
def walk(shape, weights, stored, step, desk, first, last, thread, threads):
    """Layers `[first, last)` over `desk.hidden`. The board must have been zero before the first of all."""
    count, attended = step.slots.size, shape.heads * shape.head_dim
    qkv = attended + 2 * shape.kv_heads * shape.head_dim
    for half in range(2 * first, 2 * last):
        # Both halves of a layer have a norm, a product, something of their own, and a product that is added.
        layer, which, phase = half // 2, half % 2, half * _PHASES
        meet(desk.board, phase, threads)
        if is_over(desk.board):
            return
        place = weights.places[layer, 6 * which :]
        rounds, adds_rounds = shape.in_8_bits[2 * which], shape.in_8_bits[2 * which + 1]
        if which == 0:
            outputs, inner, becomes = qkv, attended, _KEEP
        else:
            outputs, inner, becomes = shape.up, shape.inner, _GELU if shape.up == shape.inner else _GATE
        _normed(shape, weights, desk, place, rounds, count, phase + 1, threads)
        _product(desk.wide, weights, place[2:], rounds, desk, shape.width, outputs, becomes, count, phase + 2, threads)
        if which == 0:
            _write(shape, weights, stored, step, desk, layer, qkv, phase + 3, threads)
            pieces = step.pieces
            if layer == weights.places.shape[0] - 2:
                pieces, count = step.last_pieces, step.wanted.size
                if thread == 0:
                    _keep_wanted(desk.hidden, shape.width, step.wanted)
            _attend(shape, stored, step, pieces, desk, layer, qkv, phase + 4, thread, threads)
        else:
            meet(desk.board, phase + 3, threads)
            meet(desk.board, phase + 4, threads)
        numbers, stride = (desk.narrow, attended) if which == 0 else (desk.wide, shape.up)
        _rounded(desk, numbers, inner, stride, adds_rounds, count, phase + 5, threads)
        _product(
            desk.narrow, weights, place[4:], adds_rounds, desk, inner, shape.width, _ADD, count, phase + 6, threads
        )


@compiled
def finish(shape, weights, desk, logits, outputs, count, threads):
    """The logits `[count, outputs]` of the first rows of `desk.hidden`, unless it was over before the last layer."""
    place, phase, rounds = weights.places[-1], 2 * (weights.places.shape[0] - 1) * _PHASES, shape.in_8_bits[4]
    if not is_over(desk.board):
        _normed(shape, weights, desk, place, rounds, count, phase, threads)
        _product(logits, weights, place[2:], rounds, desk, shape.width, outputs, _KEEP, count, phase + 1, threads)


@compiled
def _normed(shape, weights, desk, place, in_8_bits, count, phase, threads):
    """The hidden rows, normed and rounded."""
    width, epsilon, norm, bias = shape.width, np.float32(shape.epsilon), place[0], place[1]
    factors = weights.vectors[norm : norm + width]
    row = take(desk.board, phase)
    while row < count:
        begin, end = row * width, (row + 1) * width
        if bias >= 0:
            biases = weights.vectors[bias : bias + width]
            layer_norm(desk.hidden[begin:end], factors, biases, epsilon, desk.narrow[begin:end])
        else:
            rms_norm(desk.hidden[begin:end], factors, epsilon, desk.narrow[begin:end])
        _round(desk, desk.narrow[begin:end], row, in_8_bits)
        row = take(desk.board, phase)
    meet(desk.board, phase, threads)


@compiled
def _rounded(desk, numbers, inputs, stride, in_8_bits, count, phase, threads):
    row = take(desk.board, phase)
    while row < count:
        _round(desk, numbers[row * stride : row * stride + inputs], row, in_8_bits)
        row = take(desk.board, phase)
    meet(desk.board, phase, threads)


@compiled
def _round(desk, numbers, row, in_8_bits):
    begin, end = row * numbers.size, (row + 1) * numbers.size
    if in_8_bits:
        rows, groups = desk.rows8, numbers.size // GROUP
        of_row = slice(row * groups, (row + 1) * groups)
        to_8_bits(numbers, rows.numbers[begin:end], rows.factors[of_row], rows.offsets[of_row])
    else:
        desk.rows16.factors[row] = to_16_bits(numbers, desk.rows16.numbers[begin:end])


@compiled
def _product(out, weights, place, in_8_bits, desk, inputs, outputs, becomes, count, phase, threads):
    """The rounded rows times a weight `[outputs, inputs]`, into `out` `[rows, outputs]`."""
    at, bias = place[0], place[1]
    blocks = outputs // LANES if becomes != _GATE else outputs // LANES // 2
    size = -(-blocks // (_PIECES * threads))
    piece = take(desk.board, phase)
    while piece * size < blocks:
        begin, end = piece * size, min(blocks, (piece + 1) * size)
        for part in range(2 if becomes == _GATE else 1):
            first, last = part * blocks + begin, part * blocks + end
            if in_8_bits:
                multiply(
                    out, 0, outputs, desk.rows8, count, inputs,
                    weights.steps, at, weights.scales, at // GROUP, first, last,
                )  # fmt: skip
            else:
                multiply(
                    out, 0, outputs, desk.rows16, count, inputs,
                    weights.steps, at, weights.scales, at // GROUP, first, last,
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
