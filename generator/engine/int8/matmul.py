"""Matmul: quantized activations times a weight matrix in 8 bits, and the packed layout of such a matrix.

A packed matrix consists of blocks of 16 outputs and of groups of 32 inputs; each output has a scale for each group. The
README of this folder draws the layout and computes an example. Activations have 16 bits and one scale per row, so that
nearly all of the error is that of the rounded weights; or they have 8 bits and a scale for every 32 inputs, which takes
fewer instructions. Knows nothing of models.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba.extending import overload as numba_overload

from generator.engine.int8.compiling import COMPILER_OPTIONS, compiled
from generator.engine.int8.simd import (
    GROUP,
    LANES,
    WEIGHT_ZERO_POINT,
    accumulate_pairs,
    accumulate_quads,
    add_scaled,
    broadcast_ints,
    load_floats,
    repeat,
    scale_rows,
    store_rows,
    zero_floats,
    zero_ints,
)

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.int8]

# Numba calls an overload with types, the compiled code calls it with values: no annotation fits both.
overload: Any = numba_overload

# The number of neighbouring inputs of an output in a packed matrix, for activations of 16 and of 8 bits.
PAIR, QUAD = 2, 4

# The candidates for the largest quant of a group. Weights that once had 4 or 8 bits are kept exactly by one of them.
_PEAKS = (127, 126, 120, 119, 112)


class Activations16(NamedTuple):
    """Rows of activations in 16 bits: `quants` `[rows * inputs]`, one scale per row."""

    quants: npt.NDArray[np.int16]
    scales: Floats


class Activations8(NamedTuple):
    """Rows of activations in 8 bits: `quants` `[rows * inputs]`, and for each group of 32 inputs a scale and a
    correction, the initial sum of its dot products, which cancels the zero point of the weights."""

    quants: Bytes
    scales: Floats
    corrections: npt.NDArray[np.int32]


class PackedMatrix(NamedTuple):
    """One packed matrix in arrays that may hold more: where its quants and its scales begin, and its input count."""

    quants: Bytes
    quants_start: int
    scales: Floats
    scales_start: int
    inputs: int


class OutputRows(NamedTuple):
    """Rows of results in a flat array: row `r`, output `o` is at `numbers[start + r * stride + o]`."""

    numbers: Floats
    start: int
    stride: int


def padded(outputs: int) -> int:
    """Return the number of outputs of a packed matrix: whole blocks."""
    return -(-outputs // LANES) * LANES


def unpack(quants: Bytes, scales: Floats, inputs: int) -> Floats:
    """Return the dequantized weights of a matrix packed with `PAIR`, `[padded outputs, inputs]`."""
    groups = quants.reshape(-1, inputs // GROUP, GROUP // PAIR, LANES, PAIR).astype(np.float32)
    groups *= scales.reshape(-1, inputs // GROUP, 1, LANES, 1)
    return np.ascontiguousarray(groups.transpose(0, 3, 1, 2, 4)).reshape(-1, inputs)


@compiled
def pack(weight, quants, scales):
    """Quantize and pack a matrix for `Activations16`.

    weight  float32 [outputs, inputs]; inputs are a multiple of 32
    quants  int8, flat and zero: becomes [padded outputs / 16, inputs / 2, 16, 2]
    scales  float32, flat and zero: becomes [padded outputs / 16, inputs / 32, 16]
    """
    groups = weight.shape[1] // GROUP
    for output in range(weight.shape[0]):
        block, lane = divmod(output, LANES)
        for group in range(groups):
            numbers = weight[output, group * GROUP : (group + 1) * GROUP]
            scale = _best_scale(numbers)
            scales[(block * groups + group) * LANES + lane] = scale
            inverse = np.float32(1) / scale
            start = (block * groups + group) * GROUP * LANES + PAIR * lane
            for pair in range(0, GROUP, PAIR):
                for which in range(PAIR):
                    quant = np.rint(numbers[pair + which] * inverse)
                    quants[start + LANES * pair + which] = np.int8(quant)


def repack(quants: Bytes, before: int, after: int) -> None:
    """Change the number of neighbouring inputs per output of a packed matrix from `before` to `after`, in place.

    `PAIR` is for `Activations16`. `QUAD` is for `Activations8`; there each quant is greater by `WEIGHT_ZERO_POINT`.
    """
    places = np.arange(GROUP * LANES).reshape(GROUP // before, LANES, before)
    by_input = places.transpose(0, 2, 1).reshape(GROUP // after, after, LANES)
    _permute_groups(quants, np.ascontiguousarray(by_input.transpose(0, 2, 1)).ravel())


@compiled
def _permute_groups(quants, order):
    """Reorder each run of `order.size` quants by `order` (int64), and add the zero point modulo 256."""
    group = np.empty(order.size, np.int8)
    for begin in range(0, quants.size, order.size):
        part = quants[begin : begin + order.size]
        group[:] = part
        for index in range(order.size):
            part[index] = group[order[index]] ^ np.int8(-WEIGHT_ZERO_POINT)


@compiled
def _best_scale(numbers):
    """Return the scale of a group of weights (float32 [32]) that has the least squared error among the candidates."""
    largest = np.float32(1e-20)
    for number in numbers:
        largest = max(largest, abs(number))
    best, least = largest / np.float32(_PEAKS[0]), np.float32(np.inf)
    for peak in _PEAKS:
        scale, inverse = largest / np.float32(peak), np.float32(peak) / largest
        lost = np.float32(0)
        for number in numbers:
            error = number - np.rint(number * inverse) * scale
            lost += error * error
        if lost < least:
            best, least = scale, lost
    return best


@compiled
def matmul(out, activations, count, matrix, first_block, last_block):
    """Multiply rows of activations by some blocks of a packed matrix.

    out          OutputRows: receives outputs [16 * first_block, 16 * last_block) of each row
    activations  Activations16 or Activations8: the matrix is packed with PAIR or QUAD to match
    count        int: the number of rows
    matrix       PackedMatrix
    first_block, last_block  int: the range of blocks, the last one excluded

    Eight rows share each load of weights; the rest is computed by four, three and one.
    """
    numbers, stride = out.numbers, out.stride
    for block in range(first_block, last_block):
        column, row = out.start + block * LANES, 0
        while count - row >= 8:
            sums = _dot(activations, row, matrix, block, zero_floats(8))
            store_rows(numbers, column + row * stride, stride, sums)
            row += 8
        if count - row >= 4:
            sums_of_4 = _dot(activations, row, matrix, block, zero_floats(4))
            store_rows(numbers, column + row * stride, stride, sums_of_4)
            row += 4
        if count - row >= 3:
            sums_of_3 = _dot(activations, row, matrix, block, zero_floats(3))
            store_rows(numbers, column + row * stride, stride, sums_of_3)
            row += 3
        while row < count:
            sum_of_1 = _dot(activations, row, matrix, block, zero_floats(1))
            store_rows(numbers, column + row * stride, stride, sum_of_1)
            row += 1


def _dot(activations, row, matrix, block, sums):
    """Return the dot products of one block with as many rows as the tuple `sums` has vectors, from `row` on.

    Numba replaces it by `_dot_16` or `_dot_8`, depending on the type of `activations`.
    """


@overload(_dot, jit_options=COMPILER_OPTIONS)
def _select_dot(activations, row, matrix, block, sums):
    return _dot_16 if activations.instance_class is Activations16 else _dot_8


def _dot_16(activations, row, matrix, block, sums):
    # Arrays are taken out of their tuples once: inside the loops numba would count a reference each time.
    inputs, rows, quants, scales = matrix.inputs, activations.quants, matrix.quants, matrix.scales
    quants_start = matrix.quants_start + block * inputs * LANES
    scales_start = matrix.scales_start + block * (inputs // GROUP) * LANES
    for group in range(inputs // GROUP):
        products, row_at, at = zero_ints(sums), row * inputs + GROUP * group, quants_start + GROUP * LANES * group
        for pair in range(0, GROUP, PAIR):
            products = accumulate_pairs(products, rows, row_at + pair, inputs, quants, at + LANES * pair)
        sums = add_scaled(sums, products, repeat(load_floats(scales, scales_start + LANES * group), sums))
    return scale_rows(sums, activations.scales, row, 1)


def _dot_8(activations, row, matrix, block, sums):
    inputs, groups = matrix.inputs, matrix.inputs // GROUP
    rows, quants, scales = activations.quants, matrix.quants, matrix.scales
    row_scales, corrections = activations.scales, activations.corrections
    quants_start = matrix.quants_start + block * inputs * LANES
    scales_start = matrix.scales_start + block * groups * LANES
    for group in range(groups):
        row_at, at = row * inputs + GROUP * group, quants_start + GROUP * LANES * group
        products = broadcast_ints(sums, corrections, row * groups + group, groups)
        for quad in range(0, GROUP, QUAD):
            products = accumulate_quads(products, rows, row_at + quad, inputs, quants, at + LANES * quad)
        factors = repeat(load_floats(scales, scales_start + LANES * group), sums)
        factors = scale_rows(factors, row_scales, row * groups + group, groups)
        sums = add_scaled(sums, products, factors)
    return sums
