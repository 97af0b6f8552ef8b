"""Attention: a few query tokens of one sequence over the sequence's KV cache, for one key-value head.

Scores are a matmul of the queries by the cached keys; the output is a matmul of the softmax weights by the cached
values. Owns its scratch arrays. Knows nothing of layers or of how slots are chosen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from generator.engine.int8.compiling import compiled
from generator.engine.int8.matmul import Activations16, Floats, OutputRows, PackedMatrix, matmul
from generator.engine.int8.row_ops import quantize_16, quantize_product_16, unnormalized_softmax
from generator.engine.int8.simd import GROUP, LANES

# The largest number of tokens of a sequence that attend together.
MAX_QUERY_TOKENS = 8


class QueryTokens(NamedTuple):
    """Neighbouring tokens of a sequence that attend together: the position of the first, and their number. `group` is
    the number of query heads per key-value head."""

    position: int
    num_tokens: int
    group: int


class AttentionScratch(NamedTuple):
    """Scratch arrays of each thread. A row is one query: one token and one query head.

    queries       int16 [threads, rows * head_dim]
    scores        float32 [threads, rows * window]; the softmax weights before the division replace them
    denominators  float32 [threads, rows], the divisors of the softmax
    weights       int16 [threads, rows * window], the scores times the values' scales
    scales        float32 [threads, rows]: first of `queries`, then of `weights`
    outputs       float32 [threads, rows * head_dim]
    ones          float32 [window / 32 * 16], in place of the scales of a block of values
    """

    queries: npt.NDArray[np.int16]
    scores: Floats
    denominators: Floats
    weights: npt.NDArray[np.int16]
    scales: Floats
    outputs: Floats
    ones: Floats


def new_attention_scratch(threads: int, rows: int, head_dim: int, window: int) -> AttentionScratch:
    """Return scratch arrays for at most `rows` queries at once. `window` is a multiple of 32."""
    return AttentionScratch(
        queries=np.zeros((threads, rows * head_dim), np.int16),
        scores=np.zeros((threads, rows * window), np.float32),
        denominators=np.zeros((threads, rows), np.float32),
        weights=np.zeros((threads, rows * window), np.int16),
        scales=np.zeros((threads, rows), np.float32),
        outputs=np.zeros((threads, rows * head_dim), np.float32),
        ones=np.ones(window // GROUP * LANES, np.float32),
    )


@compiled
def set_query(scratch, thread, row, query):
    """Quantize `query` (float32 [head_dim]) as row `row` of the next attention of this thread.

    Its scale includes the factor 1 / sqrt(head_dim) of the scores.
    """
    head_dim = query.size
    scale = quantize_16(query, scratch.queries[thread, row * head_dim : (row + 1) * head_dim])
    scratch.scales[thread, row] = scale / np.float32(np.sqrt(head_dim))


@compiled
def attend(cache, head, tokens, scratch, thread):
    """Compute causal attention into `scratch.outputs[thread]`, for the rows that `set_query` has set.

    cache    CacheArrays
    head     CachedHead: the keys and values
    tokens   QueryTokens: the tokens that attend; row = token * tokens.group + query head
    scratch  AttentionScratch
    thread   int: the thread whose scratch arrays are used
    """
    visible, rows = tokens.position + tokens.num_tokens, tokens.num_tokens * tokens.group
    scores, denominators = scratch.scores[thread], scratch.denominators[thread]
    queries = Activations16(scratch.queries[thread], scratch.scales[thread])
    keys = PackedMatrix(cache.keys, head.start, cache.key_scales, head.start // GROUP, head.dims)
    matmul(OutputRows(scores, 0, head.window), queries, rows, keys, 0, -(-visible // LANES))
    for row in range(rows):
        begin, seen = row * head.window, tokens.position + row // tokens.group + 1
        denominators[row] = unnormalized_softmax(scores[begin : begin + seen])
    inputs, weights, scales = -(-visible // GROUP) * GROUP, scratch.weights[thread], scratch.scales[thread]
    weighted, outputs = Activations16(weights, scales), scratch.outputs[thread]
    for part in range(head.dims // GROUP):
        scales_start = head.start // GROUP + part * head.window
        for row in range(rows):
            seen, begin = tokens.position + row // tokens.group + 1, row * inputs
            seen_scores = scores[row * head.window : row * head.window + seen]
            # Each position of the values has a scale of its own. The scales are multiplied into the weights, so that
            # the values are a packed matrix whose scales are all one.
            seen_scales = cache.value_scales[scales_start : scales_start + seen]
            scale = quantize_product_16(seen_scores, seen_scales, weights[begin : begin + seen])
            scales[row] = scale / denominators[row]
            weights[begin + seen : begin + inputs] = 0
        for block in range(part * GROUP // LANES, (part + 1) * GROUP // LANES):
            out = OutputRows(outputs, block * LANES, head.dims)
            values = PackedMatrix(cache.values, head.start + block * head.window * LANES, scratch.ones, 0, inputs)
            matmul(out, weighted, rows, values, 0, 1)
