"""Phases: the parts of a layer that threads compute together, and the arrays of a step that they work on.

In each phase the threads claim work items one by one and meet at a barrier at the end. `scratch.counters` holds the
number of claimed items of each phase. Every function takes its `phase` number and, for the barrier, the number of
`threads`. Owns the work items of each phase. Knows nothing of the order of phases.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from generator.engine.int8.attention import AttentionScratch, QueryTokens, attend, set_query
from generator.engine.int8.compiling import compiled
from generator.engine.int8.kv_cache import CachedHead, write_kv
from generator.engine.int8.matmul import Activations8, Activations16, Floats, OutputRows, PackedMatrix, matmul
from generator.engine.int8.row_ops import (
    add_in_place,
    apply_rope,
    gelu,
    layer_norm,
    quantize_8,
    quantize_16,
    rms_norm,
    silu_gate,
)
from generator.engine.int8.simd import GROUP, LANES
from generator.engine.int8.thread_pool import claim, wait_at_barrier
from generator.engine.int8.weights import Ints

# A matmul has this many work items per thread, so that a thread that is held up leaves some of its share to the others.
_ITEMS_PER_THREAD = 4
# The epilogue of a matmul: its use of the outputs once the bias is added.
KEEP, ADD_TO_HIDDEN, GELU, GATE = 0, 1, 2, 3


class QueryChunks(NamedTuple):
    """Runs of neighbouring tokens of one sequence that attend together: of each run the index of its first token, the
    number of its tokens, and the row of `Scratch.narrow` for its first output."""

    firsts: Ints
    counts: Ints
    rows: Ints


class TokenBatch(NamedTuple):
    """The tokens of one step.

    slots, positions  int64 [tokens]
    chunks            the tokens that attend in all layers but the last
    last_chunks       the tokens that attend in the last layer
    wanted            int64, the indices of the tokens whose logits are wanted, in ascending order

    The last layer needs only keys and values of the other tokens. After it, the hidden rows of the wanted tokens are
    the first rows of `Scratch.hidden`.
    """

    slots: Ints
    positions: Ints
    chunks: QueryChunks
    last_chunks: QueryChunks
    wanted: Ints


class Scratch(NamedTuple):
    """Scratch arrays of one step, a row per token unless noted.

    hidden    float32 [tokens, hidden_size], the residual stream
    wide      float32 [tokens, qkv outputs] or [tokens, up_outputs]
    narrow    float32 [tokens, hidden_size] or [tokens, heads * head_dim]
    activations8, activations16  the inputs of the next matmul, quantized
    attention  AttentionScratch
    counters  int64 [1 + num_phases], the barriers and work items of this step
    """

    hidden: Floats
    wide: Floats
    narrow: Floats
    activations8: Activations8
    activations16: Activations16
    attention: AttentionScratch
    counters: Ints


class Linear(NamedTuple):
    """One matmul of the model: where its matrix and its bias (or -1) begin, its sizes, whether its activations have 8
    bits, and its epilogue."""

    start: int
    bias_start: int
    inputs: int
    outputs: int
    eight_bit: bool
    epilogue: int


@compiled
def normalize(shape, weights, scratch, layer, norm, eight_bit, count, phase, threads):
    """Normalize the first `count` hidden rows by the norm at index `norm` of the layer's offsets, and quantize them."""
    width, epsilon = shape.hidden_size, np.float32(shape.epsilon)
    start, bias_start = weights.offsets[layer, norm], weights.offsets[layer, norm + 1]
    factors = weights.vectors[start : start + width]
    row = claim(scratch.counters, phase)
    while row < count:
        begin, end = row * width, (row + 1) * width
        if bias_start >= 0:
            biases = weights.vectors[bias_start : bias_start + width]
            layer_norm(scratch.hidden[begin:end], factors, biases, epsilon, scratch.narrow[begin:end])
        else:
            rms_norm(scratch.hidden[begin:end], factors, epsilon, scratch.narrow[begin:end])
        _quantize(scratch, scratch.narrow[begin:end], row, eight_bit)
        row = claim(scratch.counters, phase)
    wait_at_barrier(scratch.counters, phase, threads)


@compiled
def quantize_rows(scratch, numbers, inputs, stride, eight_bit, count, phase, threads):
    """Quantize the first `inputs` of each of `count` rows of `numbers`, float32, flat [count, stride]."""
    row = claim(scratch.counters, phase)
    while row < count:
        _quantize(scratch, numbers[row * stride : row * stride + inputs], row, eight_bit)
        row = claim(scratch.counters, phase)
    wait_at_barrier(scratch.counters, phase, threads)


@compiled
def _quantize(scratch, numbers, row, eight_bit):
    """Quantize `numbers`, float32 [inputs], as row `row` of the next matmul's activations."""
    begin, end = row * numbers.size, (row + 1) * numbers.size
    if eight_bit:
        rows, groups = scratch.activations8, numbers.size // GROUP
        of_row = slice(row * groups, (row + 1) * groups)
        quantize_8(numbers, rows.quants[begin:end], rows.scales[of_row], rows.corrections[of_row])
    else:
        scratch.activations16.scales[row] = quantize_16(numbers, scratch.activations16.quants[begin:end])


@compiled
def linear_layer(linear, weights, scratch, out, count, phase, threads):
    """Multiply the quantized activations by a matrix and apply its epilogue, into `out`, flat [count, outputs].

    A work item is a range of blocks of outputs. With gates, it is a range of gates and the same range of values.
    """
    matrix = PackedMatrix(weights.quants, linear.start, weights.scales, linear.start // GROUP, linear.inputs)
    rows, parts = OutputRows(out, 0, linear.outputs), 2 if linear.epilogue == GATE else 1
    blocks = linear.outputs // LANES // parts
    size = -(-blocks // (_ITEMS_PER_THREAD * threads))
    item = claim(scratch.counters, phase)
    while item * size < blocks:
        begin, end = item * size, min(blocks, (item + 1) * size)
        for part in range(parts):
            first, last = part * blocks + begin, part * blocks + end
            if linear.eight_bit:
                matmul(rows, scratch.activations8, count, matrix, first, last)
            else:
                matmul(rows, scratch.activations16, count, matrix, first, last)
        for row in range(count):
            _apply_epilogue(linear, weights.vectors, scratch.hidden, out, row, begin * LANES, end * LANES)
        item = claim(scratch.counters, phase)
    wait_at_barrier(scratch.counters, phase, threads)


@compiled
def _apply_epilogue(linear, vectors, hidden, out, row, begin, end):
    """Finish outputs `[begin, end)` of one row of `out`: add the bias, then apply the epilogue."""
    row_start = row * linear.outputs
    numbers = out[row_start + begin : row_start + end]
    if linear.bias_start >= 0:
        add_in_place(numbers, vectors[linear.bias_start + begin : linear.bias_start + end])
    if linear.epilogue == ADD_TO_HIDDEN:
        add_in_place(hidden[row_start + begin : row_start + end], numbers)
    elif linear.epilogue == GELU:
        gelu(numbers)
    elif linear.epilogue == GATE:
        values_start = row_start + linear.outputs // 2
        silu_gate(numbers, out[values_start + begin : values_start + end])


@compiled
def rotate_and_cache(shape, weights, cache, batch, scratch, layer, qkv, phase, threads):
    """Rotate queries and keys, and write keys and values to the cache. A work item is a key-value head of a token.

    `scratch.wide` holds `qkv` numbers per token: all queries, then all keys, then all values.
    """
    dims, group = shape.head_dim, shape.num_heads // shape.num_kv_heads
    item = claim(scratch.counters, phase)
    while item < batch.slots.size * shape.num_kv_heads:
        token, head = divmod(item, shape.num_kv_heads)
        position, start = batch.positions[token], token * qkv
        key_start = start + (shape.num_heads + head) * dims
        value_start = key_start + shape.num_kv_heads * dims
        if weights.cosines.size > 0:
            begin, end = position * dims // 2, (position + 1) * dims // 2
            cosines, sines = weights.cosines[begin:end], weights.sines[begin:end]
            apply_rope(scratch.wide[key_start : key_start + dims], cosines, sines)
            for query in range(head * group, (head + 1) * group):
                apply_rope(scratch.wide[start + query * dims : start + (query + 1) * dims], cosines, sines)
        key, value = scratch.wide[key_start : key_start + dims], scratch.wide[value_start : value_start + dims]
        write_kv(cache, _cached_head(shape, layer, batch.slots[token], head), position, key, value)
        item = claim(scratch.counters, phase)
    wait_at_barrier(scratch.counters, phase, threads)


@compiled
def attend_chunks(shape, cache, batch, chunks, scratch, layer, qkv, phase, thread, threads):
    """Compute attention into `scratch.narrow`. A work item is a key-value head of a chunk of tokens."""
    dims, group, attention = shape.head_dim, shape.num_heads // shape.num_kv_heads, scratch.attention
    item = claim(scratch.counters, phase)
    while item < chunks.firsts.size * shape.num_kv_heads:
        chunk, head = divmod(item, shape.num_kv_heads)
        first, count = chunks.firsts[chunk], chunks.counts[chunk]
        for row in range(count * group):
            start = (first + row // group) * qkv + (head * group + row % group) * dims
            set_query(attention, thread, row, scratch.wide[start : start + dims])
        cached = _cached_head(shape, layer, batch.slots[first], head)
        attend(cache, cached, QueryTokens(batch.positions[first], count, group), attention, thread)
        for row in range(count * group):
            token = chunks.rows[chunk] + row // group
            start = (token * shape.num_heads + head * group + row % group) * dims
            scratch.narrow[start : start + dims] = attention.outputs[thread, row * dims : (row + 1) * dims]
        item = claim(scratch.counters, phase)
    wait_at_barrier(scratch.counters, phase, threads)


@compiled
def _cached_head(shape, layer, slot, head):
    start = ((layer * shape.num_slots + slot) * shape.num_kv_heads + head) * shape.head_dim * shape.window
    return CachedHead(start, shape.window, shape.head_dim)
