"""Attention: a few tokens of one sequence over what its slot holds, for one head of keys.

Owns the room it computes in. Knows nothing of layers or of how slots are chosen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from generator.engine.int8.compiling import compiled
from generator.engine.int8.matmul import Activations16, Floats, multiply
from generator.engine.int8.row_ops import product_to_16_bits, softmax, to_16_bits
from generator.engine.int8.simd import GROUP, LANES

# So many tokens of a sequence attend together, if it has so many.
TOKENS = 8


class AttentionScratch(NamedTuple):
    """Of each thread, for as many queries as attend together: the `queries` `[queries * dims]` in 16 bits; their
    `scores` `[queries * window]` and the sums of those, `totals`; the `weights` that scores become, in 16 bits;
    `factors`, which belong to whatever has 16 bits; the `means` of values `[queries * dims]`. `ones` has as many as a
    head's values would have scales."""

    queries: npt.NDArray[np.int16]
    scores: Floats
    totals: Floats
    weights: npt.NDArray[np.int16]
    factors: Floats
    means: Floats
    ones: Floats


def new_room(threads: int, queries: int, dims: int, window: int) -> AttentionScratch:
    return AttentionScratch(
        queries=np.zeros((threads, queries * dims), np.int16),
        scores=np.zeros((threads, queries * window), np.float32),
        totals=np.zeros((threads, queries), np.float32),
        weights=np.zeros((threads, queries * window), np.int16),
        factors=np.zeros((threads, queries), np.float32),
        means=np.zeros((threads, queries * dims), np.float32),
        ones=np.ones(window // GROUP * LANES, np.float32),
    )


@compiled
def put_query(room, thread, row, query):
    """`query` `[dims]` as one of those that attend together next, in 16 bits and scaled as scores want it."""
    dims = query.size
    factor = to_16_bits(query, room.queries[thread, row * dims : (row + 1) * dims])
    room.factors[thread, row] = factor / np.float32(np.sqrt(dims))


@compiled
def attend(stored, head_at, window, dims, position, room, thread, num_tokens, group):
    """Of `[tokens * group]` queries, for tokens at `position` and on; their means are left in the room."""
    visible, rows = position + num_tokens, num_tokens * group
    scores, weights, factors, totals = (
        room.scores[thread],
        room.weights[thread],
        room.factors[thread],
        room.totals[thread],
    )
    multiply(
        scores, 0, window, Activations16(room.queries[thread], factors), rows, dims,
        stored.keys, head_at, stored.key_scales, head_at // GROUP, 0, -(-visible // LANES),
    )  # fmt: skip
    for row in range(rows):
        totals[row] = softmax(scores[row * window : row * window + position + row // group + 1])
    inputs = -(-visible // GROUP) * GROUP
    for part in range(dims // GROUP):
        scales_at = head_at // GROUP + part * window
        for row in range(rows):
            seen, begin = position + row // group + 1, row * inputs
            seen_scores = scores[row * window : row * window + seen]
            # The values' scales become part of the weights, so that values are multiplied as any weight is.
            seen_scales = stored.value_scales[scales_at : scales_at + seen]
            factor = product_to_16_bits(seen_scores, seen_scales, weights[begin : begin + seen])
            factors[row] = factor / totals[row]
            weights[begin + seen : begin + inputs] = 0
        for block in range(part * GROUP // LANES, (part + 1) * GROUP // LANES):
            multiply(
                room.means[thread], block * LANES, dims, Activations16(weights, factors), rows, inputs,
                stored.values, head_at + block * window * LANES, room.ones, 0, 0, 1,
            )  # fmt: skip
