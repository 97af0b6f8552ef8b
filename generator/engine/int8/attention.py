"""Attention: a few tokens of one sequence over what its slot holds, for one head of keys.

Knows nothing of layers or of how slots are chosen.
"""

from __future__ import annotations

import numpy as np

from generator.engine.int8.compiling import compiled
from generator.engine.int8.product import multiply
from generator.engine.int8.rows import softmax
from generator.engine.int8.vectors import GROUP, LANES, add, add_products, load_scaled, store, zeros

# So many tokens of a sequence attend together, if it has so many.
TOKENS = 8


@compiled
def attend(stored, head_at, window, dims, position, queries, factors, num_tokens, group, scores, out):
    """`queries` `[tokens * group, dims]` in 16 bits, each with its factor, for tokens at `position` and on. Writes
    `out`, as large; overwrites `scores` `[tokens * group, window]` and the factors."""
    visible, rows = position + num_tokens, num_tokens * group
    blocks = -(-visible // LANES)
    multiply(
        scores, 0, window, queries, 0, factors, rows, dims,
        stored.keys, head_at, stored.key_scales, head_at // GROUP, 0, blocks,
    )  # fmt: skip
    for row in range(rows):
        begin, end = row * window, row * window + blocks * LANES
        seen = begin + position + row // group + 1
        factors[row] = np.float32(1) / softmax(scores[begin:seen])
        scores[seen:end] = 0
    for block in range(dims // LANES):
        at, scales_at = head_at + block * window * LANES, head_at // GROUP + block * LANES // GROUP * window
        row = 0
        while rows - row >= 8:
            sums = _sums(stored, at, scales_at, visible, scores, row * window, window, zeros(8))
            store(out, row * dims + block * LANES, dims, sums, factors, row)
            row += 8
        while rows - row >= 3:
            sums_of_3 = _sums(stored, at, scales_at, visible, scores, row * window, window, zeros(3))
            store(out, row * dims + block * LANES, dims, sums_of_3, factors, row)
            row += 3
        while row < rows:
            sum_of_1 = _sum(stored, at, scales_at, blocks * LANES, scores, row * window)
            store(out, row * dims + block * LANES, dims, sum_of_1, factors, row)
            row += 1


@compiled
def _sums(stored, at, scales_at, visible, scores, scores_at, window, sums):
    """Values weighed by scores, for as many rows as `sums` has."""
    for position in range(visible):
        values = load_scaled(stored.values, at + position * LANES, stored.value_scales[scales_at + position])
        sums = add_products(sums, scores, scores_at + position, window, values)
    return sums


@compiled
def _sum(stored, at, scales_at, padded, scores, scores_at):
    """The same for one row: several sums side by side, since each has to wait for what was last added to it."""
    first, second, third, fourth = zeros(1), zeros(1), zeros(1), zeros(1)
    for position in range(0, padded, 4):
        place, scale, score = at + position * LANES, scales_at + position, scores_at + position
        values, scales = stored.values, stored.value_scales
        first = add_products(first, scores, score, 0, load_scaled(values, place, scales[scale]))
        second = add_products(second, scores, score + 1, 0, load_scaled(values, place + LANES, scales[scale + 1]))
        third = add_products(third, scores, score + 2, 0, load_scaled(values, place + 2 * LANES, scales[scale + 2]))
        fourth = add_products(fourth, scores, score + 3, 0, load_scaled(values, place + 3 * LANES, scales[scale + 3]))
    return add(add(first, second), add(third, fourth))
