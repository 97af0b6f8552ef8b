"""Forward: all layers of a model over the tokens of one step, computed by several threads at once.

A layer is a sequence of phases with a barrier at the end of each. Thread 0 leads: it may compute a few layers per call
and check in between whether to stop, while the other threads wait for it at the first barrier of a layer. Owns the
order of the phases. Knows nothing of slot owners or of the meaning of tokens.
"""

from __future__ import annotations

from generator.engine.int8.compiling import compiled
from generator.engine.int8.phases import (
    ADD_TO_HIDDEN,
    GATE,
    GELU,
    KEEP,
    Linear,
    attend_chunks,
    linear_layer,
    normalize,
    quantize_rows,
    rotate_and_cache,
)
from generator.engine.int8.thread_pool import is_aborted, wait_at_barrier

# The barrier at the start, six phases of attention, four of the MLP.
_PHASES_PER_LAYER = 11
# The indices of `LayerOffsets`: of each part, and of its bias at the next index.
_ATTENTION_NORM, _QKV, _OUTPUT, _MLP_NORM, _UP, _DOWN = 0, 2, 4, 6, 8, 10


def num_phases(num_layers: int) -> int:
    """Return the number of phases of a step: all layers, the final norm, the head."""
    return _PHASES_PER_LAYER * num_layers + 2


@compiled
def forward_layers(shape, weights, cache, batch, scratch, first, last, thread, threads):
    """Compute layers `[first, last)` of `scratch.hidden`. All threads call it, in the end for all layers.

    After `abort`, it returns at the next barrier before a layer.

    shape    Shape
    weights  Weights
    cache    CacheArrays: receives keys and values of all tokens
    batch    TokenBatch
    scratch  Scratch: `counters` are zero before the first layer
    first, last      int: the range of layers, the last one excluded
    thread, threads  int: this thread's number, and their count
    """
    for layer in range(first, last):
        phase = layer * _PHASES_PER_LAYER
        wait_at_barrier(scratch.counters, phase, threads)
        if is_aborted(scratch.counters):
            return
        _attention_half(shape, weights, cache, batch, scratch, layer, phase + 1, thread, threads)
        is_last = layer == weights.offsets.shape[0] - 2
        count = batch.wanted.size if is_last else batch.slots.size
        _mlp_half(shape, weights, scratch, layer, count, phase + 7, threads)


@compiled
def _attention_half(shape, weights, cache, batch, scratch, layer, phase, thread, threads):
    """Add attention's output to the hidden rows. It takes six phases from `phase` on."""
    offsets, eight_bit, count = weights.offsets[layer], shape.eight_bit, batch.slots.size
    attended = shape.num_heads * shape.head_dim
    qkv = attended + 2 * shape.num_kv_heads * shape.head_dim
    normalize(shape, weights, scratch, layer, _ATTENTION_NORM, eight_bit.qkv, count, phase, threads)
    linear = Linear(offsets[_QKV], offsets[_QKV + 1], shape.hidden_size, qkv, eight_bit.qkv, KEEP)
    linear_layer(linear, weights, scratch, scratch.wide, count, phase + 1, threads)
    rotate_and_cache(shape, weights, cache, batch, scratch, layer, qkv, phase + 2, threads)
    chunks = batch.chunks
    if layer == weights.offsets.shape[0] - 2:
        chunks, count = batch.last_chunks, batch.wanted.size
        if thread == 0:
            _gather_wanted(scratch.hidden, shape.hidden_size, batch.wanted)
    attend_chunks(shape, cache, batch, chunks, scratch, layer, qkv, phase + 3, thread, threads)
    quantize_rows(scratch, scratch.narrow, attended, attended, eight_bit.output, count, phase + 4, threads)
    linear = Linear(
        offsets[_OUTPUT], offsets[_OUTPUT + 1], attended, shape.hidden_size, eight_bit.output, ADD_TO_HIDDEN
    )
    linear_layer(linear, weights, scratch, scratch.narrow, count, phase + 5, threads)


@compiled
def _mlp_half(shape, weights, scratch, layer, count, phase, threads):
    """Add the MLP's output to the first `count` hidden rows. It takes four phases from `phase` on."""
    offsets, eight_bit = weights.offsets[layer], shape.eight_bit
    up, inner, width = shape.up_outputs, shape.mlp_size, shape.hidden_size
    normalize(shape, weights, scratch, layer, _MLP_NORM, eight_bit.up, count, phase, threads)
    activation = GELU if up == inner else GATE
    linear = Linear(offsets[_UP], offsets[_UP + 1], width, up, eight_bit.up, activation)
    linear_layer(linear, weights, scratch, scratch.wide, count, phase + 1, threads)
    quantize_rows(scratch, scratch.wide, inner, up, eight_bit.down, count, phase + 2, threads)
    linear = Linear(offsets[_DOWN], offsets[_DOWN + 1], inner, width, eight_bit.down, ADD_TO_HIDDEN)
    linear_layer(linear, weights, scratch, scratch.narrow, count, phase + 3, threads)


@compiled
def compute_logits(shape, weights, scratch, logits, outputs, count, threads):
    """Write the logits of the first `count` hidden rows to `logits`, float32, flat [count, outputs].

    `outputs` is the padded size of the vocabulary. After an aborted `forward_layers` it does nothing.
    """
    layer = weights.offsets.shape[0] - 1
    phase, offsets, eight_bit = layer * _PHASES_PER_LAYER, weights.offsets[layer], shape.eight_bit.head
    if not is_aborted(scratch.counters):
        normalize(shape, weights, scratch, layer, _ATTENTION_NORM, eight_bit, count, phase, threads)
        head = Linear(offsets[_QKV], offsets[_QKV + 1], shape.hidden_size, outputs, eight_bit, KEEP)
        linear_layer(head, weights, scratch, logits, count, phase + 1, threads)


@compiled
def _gather_wanted(hidden, width, wanted):
    """Move the wanted hidden rows to the front. `wanted` ascends, so no row is overwritten before it is moved."""
    for row in range(wanted.size):
        begin = wanted[row] * width
        hidden[row * width : (row + 1) * width] = hidden[begin : begin + width]
