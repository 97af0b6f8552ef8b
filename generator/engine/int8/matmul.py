"""Product: rows times a weight in 8 bits.

A weight is packed in blocks of sixteen outputs, in groups of 32 inputs that share a scale for each output. Rows come in
16 bits with one scale each, so that nearly all of the error is that of rounding weights; or, for fewer instructions, in
8 bits with a scale for every 32. Knows nothing of models.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba.extending import overload as numba_overload

from generator.engine.int8.compiling import OPTIONS, compiled
from generator.engine.int8.simd import (
    GROUP,
    LANES,
    UNSIGNED,
    add_pairs,
    add_quads,
    add_scaled,
    load,
    no_steps,
    repeat,
    scale_rows,
    steps_of_rows,
    store,
    zeros,
)

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]

# What numba calls with types, we call with values.
overload: Any = numba_overload

# So many inputs of an output lie side by side, for rows of 16 and of 8 bits.
PAIR, QUAD = 2, 4

# What a group's largest weight may become. Weights that once had 4 or 8 bits are kept exactly by one of them.
_PEAKS = (127, 126, 120, 119, 112)


class Activations16(NamedTuple):
    """`numbers` `[rows * inputs]`, and what a step of each row stands for."""

    numbers: npt.NDArray[np.int16]
    factors: Floats


class Activations8(NamedTuple):
    """`numbers` `[rows * inputs]`; of every 32 of them what a step stands for, and with what their sums begin."""

    numbers: Bytes
    factors: Floats
    offsets: npt.NDArray[np.int32]


def padded(outputs: int) -> int:
    """As many outputs as a packed weight has."""
    return -(-outputs // LANES) * LANES


def unpack(steps: Bytes, scales: Floats, inputs: int) -> Floats:
    """What is left of the weight, `[padded outputs, inputs]`."""
    groups = steps.reshape(-1, inputs // GROUP, GROUP // PAIR, LANES, PAIR).astype(np.float32)
    groups *= scales.reshape(-1, inputs // GROUP, 1, LANES, 1)
    return np.ascontiguousarray(groups.transpose(0, 3, 1, 2, 4)).reshape(-1, inputs)


@compiled
def pack(weight, steps, scales):
    """`weight` `[outputs, inputs]` into `steps` `[padded outputs / 16, inputs / 2, 16, 2]` and `scales` `[…,
    inputs / 32, 16]`, both flat and zero. Inputs are a multiple of 32. So it is multiplied with `Activations16`."""
    groups = weight.shape[1] // GROUP
    for output in range(weight.shape[0]):
        block, lane = divmod(output, LANES)
        for group in range(groups):
            numbers = weight[output, group * GROUP : (group + 1) * GROUP]
            scale = _best_scale(numbers)
            scales[(block * groups + group) * LANES + lane] = scale
            inverse = np.float32(1) / scale
            at = (block * groups + group) * GROUP * LANES + PAIR * lane
            for pair in range(0, GROUP, PAIR):
                for which in range(PAIR):
                    step = np.rint(numbers[pair + which] * inverse)
                    steps[at + LANES * pair + which] = np.int8(step)


def rearrange(steps: Bytes, before: int, after: int) -> None:
    """What is packed with `before` inputs of an output side by side has `after` of them then, in place: `PAIR` for
    `Activations16`, `QUAD` for `Activations8`, where each step is greater by `UNSIGNED`."""
    places = np.arange(GROUP * LANES).reshape(GROUP // before, LANES, before)
    by_input = places.transpose(0, 2, 1).reshape(GROUP // after, after, LANES)
    _permute(steps, np.ascontiguousarray(by_input.transpose(0, 2, 1)).ravel())


@compiled
def _permute(steps, order):
    group = np.empty(order.size, np.int8)
    for begin in range(0, steps.size, order.size):
        part = steps[begin : begin + order.size]
        group[:] = part
        for index in range(order.size):
            part[index] = group[order[index]] ^ np.int8(-UNSIGNED)


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
def multiply(out, out_at, width, rows, count, inputs, steps, steps_at, scales, scales_at, first, last):
    """The outputs of blocks `[first, last)`, for the first `count` of `rows`: `out[out_at + row * width + output]`.

    `rows` are `Activations16` or `Activations8`."""
    for block in range(first, last):
        weights_at, group_at = steps_at + block * inputs * LANES, scales_at + block * (inputs // GROUP) * LANES
        column, row = out_at + block * LANES, 0
        while count - row >= 8:
            sums = _sums(rows, row, inputs, steps, weights_at, scales, group_at, zeros(8))
            store(out, column + row * width, width, sums)
            row += 8
        if count - row >= 4:
            sums_of_4 = _sums(rows, row, inputs, steps, weights_at, scales, group_at, zeros(4))
            store(out, column + row * width, width, sums_of_4)
            row += 4
        if count - row >= 3:
            sums_of_3 = _sums(rows, row, inputs, steps, weights_at, scales, group_at, zeros(3))
            store(out, column + row * width, width, sums_of_3)
            row += 3
        while row < count:
            sum_of_1 = _sums(rows, row, inputs, steps, weights_at, scales, group_at, zeros(1))
            store(out, column + row * width, width, sum_of_1)
            row += 1


def _sums(rows, row, inputs, steps, steps_at, scales, scales_at, sums):
    """Of as many rows as there are `sums`, from `row` on. Which of the two below it is, the kind of `rows` says."""


@overload(_sums, jit_options=OPTIONS)
def _choose_sums(rows, row, inputs, steps, steps_at, scales, scales_at, sums):
    return _sums_of_16_bits if rows.instance_class is Activations16 else _sums_of_8_bits


def _sums_of_16_bits(rows, row, inputs, steps, steps_at, scales, scales_at, sums):
    for group in range(inputs // GROUP):
        products, row_at, at = no_steps(sums), row * inputs + GROUP * group, steps_at + GROUP * LANES * group
        for pair in range(0, GROUP, PAIR):
            products = add_pairs(products, rows.numbers, row_at + pair, inputs, steps, at + LANES * pair)
        sums = add_scaled(sums, products, repeat(load(scales, scales_at + LANES * group), sums))
    return scale_rows(sums, rows.factors, row, 1)


def _sums_of_8_bits(rows, row, inputs, steps, steps_at, scales, scales_at, sums):
    groups = inputs // GROUP
    for group in range(groups):
        row_at, at = row * inputs + GROUP * group, steps_at + GROUP * LANES * group
        products = steps_of_rows(sums, rows.offsets, row * groups + group, groups)
        for quad in range(0, GROUP, QUAD):
            products = add_quads(products, rows.numbers, row_at + quad, inputs, steps, at + LANES * quad)
        steps_mean = repeat(load(scales, scales_at + LANES * group), sums)
        steps_mean = scale_rows(steps_mean, rows.factors, row * groups + group, groups)
        sums = add_scaled(sums, products, steps_mean)
    return sums
