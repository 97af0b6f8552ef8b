"""SIMD intrinsics, each in a small compiled function, against numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.int8.compiling import compiled
from generator.engine.int8.simd import (
    WEIGHT_ZERO_POINT,
    accumulate_pairs,
    accumulate_quads,
    add_scaled,
    bits_to_float,
    broadcast_ints,
    float_to_bits,
    load_floats,
    quantize_group,
    repeat,
    scale_rows,
    store_rows,
    zero_floats,
    zero_ints,
)
from generator.engine.int8.weights import Ints
from tests.generator.engine.int8.quantized_arrays import floats

ROWS, INPUTS = 3, 8


@compiled
def _pair_dots(out, activations, weights, scales):  # type: ignore[no-untyped-def]
    sums = zero_floats(3)
    dots = zero_ints(sums)
    for pair in range(0, INPUTS, 2):
        dots = accumulate_pairs(dots, activations, pair, INPUTS, weights, 16 * pair)
    sums = add_scaled(sums, dots, repeat(load_floats(scales, 0), sums))
    store_rows(out, 1, 20, scale_rows(sums, scales, 16, 2))


@compiled
def _quad_dots(out, activations, corrections, weights, scales):  # type: ignore[no-untyped-def]
    sums = zero_floats(3)
    dots = broadcast_ints(sums, corrections, 1, 2)
    for quad in range(0, INPUTS, 4):
        dots = accumulate_quads(dots, activations, quad, INPUTS, weights, 16 * quad)
    store_rows(out, 1, 20, add_scaled(sums, dots, repeat(load_floats(scales, 0), sums)))


def interleaved(weight: Ints, neighbours: int) -> Ints:
    """Return a matrix `[16, INPUTS]` as flat `[INPUTS / neighbours, 16, neighbours]`."""
    return np.ascontiguousarray(weight.reshape(16, -1, neighbours).transpose(1, 0, 2)).ravel()


@settings(max_examples=30)
@given(seed=st.integers(0, 9999))
def test_pairs_of_16_bit_inputs_and_signed_weights_are_multiplied_exactly(seed: int) -> None:
    random = np.random.default_rng(seed)
    activations = random.choice([-32767, 32767, -1, 0, 1, 12345], (ROWS, INPUTS)).astype(np.int16)
    weight = random.choice([-127, 127, -1, 0, 1, 99], (16, INPUTS))
    scales, out = floats(random, 16 + 2 * ROWS), np.full(1 + 20 * ROWS, 7, np.float32)
    _pair_dots(out, activations.ravel(), interleaved(weight, 2).astype(np.int8), scales)
    dots = activations.astype(np.int64) @ weight.T
    rows = out[1:].reshape(ROWS, 20)
    assert np.allclose(rows[:, :16], dots * scales[:16] * scales[16::2, None], rtol=1e-6)
    assert out[0] == 7
    assert (rows[:, 16:] == 7).all()


@settings(max_examples=30)
@given(seed=st.integers(0, 9999))
def test_quads_of_8_bit_inputs_and_unsigned_weights_are_added_to_the_corrections(seed: int) -> None:
    random = np.random.default_rng(seed)
    activations = random.choice([-127, 127, -1, 0, 1, 99], (ROWS, INPUTS)).astype(np.int8)
    weight = random.choice([-127, 127, -1, 0, 1, 99], (16, INPUTS))
    corrections = np.zeros(1 + 2 * ROWS, np.int32)
    corrections[1::2] = -WEIGHT_ZERO_POINT * activations.sum(1, dtype=np.int32)
    scales, out = floats(random, 16), np.full(1 + 20 * ROWS, 7, np.float32)
    unsigned = interleaved(weight + WEIGHT_ZERO_POINT, 4).astype(np.uint8).view(np.int8)
    _quad_dots(out, activations.ravel(), corrections, unsigned, scales)
    dots = activations.astype(np.int64) @ weight.T
    assert np.allclose(out[1:].reshape(ROWS, 20)[:, :16], dots * scales, rtol=1e-6)


@compiled
def _quantize(numbers, quants):  # type: ignore[no-untyped-def]
    return quantize_group(numbers, 1, quants, 2)


@given(seed=st.integers(0, 9999), power=st.integers(-15, 15))
def test_a_group_is_quantized_to_the_nearest_of_255_steps(seed: int, power: int) -> None:
    numbers = floats(np.random.default_rng(seed), 33) * np.float32(10.0**power)
    quants = np.full(36, 99, np.int8)
    scale, total = _quantize(numbers, quants)
    group = quants[2:34].astype(np.int64)
    assert abs(group).max() == 127
    assert group.sum() == total
    assert (abs(group * np.float64(scale) - numbers[1:]) <= 0.501 * scale).all()
    assert (quants[[0, 1, 34, 35]] == 99).all()


@compiled
def _there_and_back(number):  # type: ignore[no-untyped-def]
    bits = float_to_bits(number)
    return bits, bits_to_float(bits)


@given(number=st.floats(width=32, allow_nan=False))
def test_a_float_and_its_bits_are_converted_into_each_other(number: float) -> None:
    value = np.float32(number)
    bits, back = _there_and_back(value)
    assert bits == value.view(np.int32)
    assert back == value
