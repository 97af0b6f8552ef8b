"""Product: rows times a weight in 8 bits.

A weight is packed in blocks of sixteen outputs, in groups of 32 inputs that share a scale for each output; rows come in
16 bits with one scale each. So nearly all of the error is that of rounding weights. Knows nothing of models.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from generator.engine.int8.compiling import compiled
from generator.engine.int8.vectors import GROUP, LANES, add_pairs, add_scaled, load, no_steps, store, zeros

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]

# What a group's largest weight may become. Weights that once had 4 or 8 bits are kept exactly by one of them.
_PEAKS = (127, 126, 120, 119, 112)


def padded(outputs: int) -> int:
    """As many outputs as a packed weight has."""
    return -(-outputs // LANES) * LANES


def unpack(steps: Bytes, scales: Floats, inputs: int) -> Floats:
    """What is left of the weight, `[padded outputs, inputs]`."""
    groups = steps.reshape(-1, inputs // GROUP, GROUP // 2, LANES, 2).astype(np.float32)
    groups *= scales.reshape(-1, inputs // GROUP, 1, LANES, 1)
    return np.ascontiguousarray(groups.transpose(0, 3, 1, 2, 4)).reshape(-1, inputs)


@compiled
def pack(weight, steps, scales):
    """`weight` `[outputs, inputs]` into `steps` `[padded outputs / 16, inputs / 2, 16, 2]` and `scales` `[…,
    inputs / 32, 16]`, both flat and zero. Inputs are a multiple of 32."""
    groups = weight.shape[1] // GROUP
    for output in range(weight.shape[0]):
        block, lane = divmod(output, LANES)
        for group in range(groups):
            numbers = weight[output, group * GROUP : (group + 1) * GROUP]
            scale = _best_scale(numbers)
            scales[(block * groups + group) * LANES + lane] = scale
            inverse = np.float32(1) / scale
            at = (block * groups + group) * GROUP * LANES + 2 * lane
            for pair in range(GROUP // 2):
                for which in range(2):
                    step = np.rint(numbers[2 * pair + which] * inverse)
                    steps[at + 2 * LANES * pair + which] = np.int8(step)


@compiled
def _best_scale(numbers):
    """The scale that loses least."""
    largest = np.float32(1e-20)
    for number in numbers:
        largest = max(largest, abs(number))
    best, least = largest / np.float32(_PEAKS[0]), np.float32(np.inf)
    for peak in _PEAKS:
        scale, inverse = largest / np.float32(peak), np.float32(peak) / largest
        lost = np.float32(0)
        for number in numbers:
            left = number - np.rint(number * inverse) * scale
            lost += left * left
        if lost < least:
            best, least = scale, lost
    return best


@compiled
def multiply(
    out, out_at, width, rows, rows_at, factors, count, inputs, steps, steps_at, scales, scales_at, first, last
):
    """The outputs of blocks `[first, last)`, for `count` rows of 16 bits: `out[out_at + row * width + output]`."""
    for block in range(first, last):
        weights_at, group_at = steps_at + block * inputs * LANES, scales_at + block * (inputs // GROUP) * LANES
        column, row = out_at + block * LANES, 0
        while count - row >= 8:
            sums = _sums(rows, rows_at + row * inputs, inputs, steps, weights_at, scales, group_at, zeros(8))
            store(out, column + row * width, width, sums, factors, row)
            row += 8
        if count - row >= 4:
            sums_of_4 = _sums(rows, rows_at + row * inputs, inputs, steps, weights_at, scales, group_at, zeros(4))
            store(out, column + row * width, width, sums_of_4, factors, row)
            row += 4
        if count - row >= 3:
            sums_of_3 = _sums(rows, rows_at + row * inputs, inputs, steps, weights_at, scales, group_at, zeros(3))
            store(out, column + row * width, width, sums_of_3, factors, row)
            row += 3
        while row < count:
            sum_of_1 = _sums(rows, rows_at + row * inputs, inputs, steps, weights_at, scales, group_at, zeros(1))
            store(out, column + row * width, width, sum_of_1, factors, row)
            row += 1


@compiled
def _sums(rows, rows_at, inputs, steps, steps_at, scales, scales_at, sums):
    for group in range(inputs // GROUP):
        products, row_at, at = no_steps(sums), rows_at + GROUP * group, steps_at + GROUP * LANES * group
        for pair in range(GROUP // 2):
            products = add_pairs(products, rows, row_at + 2 * pair, inputs, steps, at + 2 * LANES * pair)
        sums = add_scaled(sums, products, load(scales, scales_at + LANES * group))
    return sums
