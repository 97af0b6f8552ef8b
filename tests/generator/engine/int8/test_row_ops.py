"""Row operations: norms, activation functions, softmax, RoPE and quantization, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.int8 import row_ops
from generator.engine.int8.matmul import Floats
from tests.generator.engine.int8.quantized_arrays import floats, quantized_8

SEEDS = st.integers(0, 9999)


@pytest.mark.parametrize("size", [1, 16, 37])
def test_norms_activations_and_softmax_are_those_of_numpy(size: int) -> None:
    random = np.random.default_rng(size)
    x, weights, biases = floats(random, size), floats(random, size), floats(random, size)
    out = np.empty_like(x)
    row_ops.layer_norm(x, weights, biases, np.float32(1e-5), out)
    assert np.allclose(out, (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weights + biases, atol=1e-5)
    row_ops.rms_norm(x, weights, np.float32(1e-5), out)
    assert np.allclose(out, x / np.sqrt((x**2).mean() + 1e-5) * weights, atol=1e-5)
    out = x.copy()
    row_ops.silu_gate(out, weights)
    assert np.allclose(out, x / (1 + np.exp(-x)) * weights, atol=1e-5)
    out = x.copy()
    row_ops.gelu(out)
    assert np.allclose(out, x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), atol=1e-5)
    for shift in (-9, 0, 9):
        assert row_ops.maximum(x + np.float32(shift)) == (x + np.float32(shift)).max()
    out = 30 * x
    total = row_ops.unnormalized_softmax(out)
    assert np.allclose(out / total, np.exp(30 * x - (30 * x).max()) / np.exp(30 * x - (30 * x).max()).sum(), atol=1e-5)
    out = x.copy()
    row_ops.add_in_place(out, biases)
    assert (out == x + biases).all()


@given(x=st.floats(-87, 87, width=32))
def test_the_fast_exponential_is_off_by_a_few_millionths(x: float) -> None:
    assert row_ops.fast_exp(np.float32(x)) == pytest.approx(np.exp(np.float64(x)), rel=1e-5)


@pytest.mark.parametrize("x", [-1e30, -88.0])
def test_the_fast_exponential_of_a_very_negative_number_is_almost_nothing(x: float) -> None:
    assert 0 <= row_ops.fast_exp(np.float32(x)) < 1e-37


@given(seed=SEEDS, half=st.integers(1, 40))
def test_rope_is_a_complex_rotation_of_pairs_half_a_head_apart(seed: int, half: int) -> None:
    random = np.random.default_rng(seed)
    head, angles = floats(random, 2 * half), random.uniform(0, 7, half)
    expected = (head[:half] + 1j * head[half:]) * np.exp(1j * angles)
    row_ops.apply_rope(head, np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32))
    assert np.allclose(head, np.concatenate([expected.real, expected.imag]), atol=1e-5)


@given(seed=SEEDS, size=st.integers(1, 70), power=st.integers(-10, 10))
def test_quantization_to_16_bits_is_off_by_half_a_quant(seed: int, size: int, power: int) -> None:
    random = np.random.default_rng(seed)
    numbers = floats(random, size) * np.float32(10.0**power)
    quants, factors = np.zeros(size, np.int16), floats(random, size)
    scale = row_ops.quantize_16(numbers, quants)
    assert abs(quants).max() == 32767
    assert (abs(quants * np.float64(scale) - numbers) <= 0.51 * scale).all()
    scale = row_ops.quantize_product_16(numbers, factors, quants)
    assert (abs(quants * np.float64(scale) - numbers.astype(np.float64) * factors) <= 0.51 * scale).all()


@given(seed=SEEDS)
def test_corrections_cancel_the_zero_point_of_the_weights(seed: int) -> None:
    random = np.random.default_rng(seed)
    rounded, weights = quantized_8(floats(random, 1, 32)), random.integers(-127, 128, 32)
    quants = rounded.quants.astype(np.int64)
    assert rounded.corrections[0] + quants @ (weights + 128) == quants @ weights


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_number_that_is_not_finite_makes_a_scale_that_is_not_finite(wrong: float) -> None:
    numbers = np.array([1, wrong, 2], np.float32)
    assert not np.isfinite(row_ops.largest_magnitude(numbers))
    assert not np.isfinite(row_ops.quantize_16(numbers, np.zeros(3, np.int16)))


def test_quantization_to_8_bits_keeps_nan_in_the_scale_and_turns_zeros_into_zeros() -> None:
    numbers = np.zeros((2, 64), np.float32)
    numbers[1, 40] = np.nan
    rounded = quantized_8(numbers)
    assert not rounded.quants[:96].any()
    assert np.isfinite(rounded.scales[:3]).all()
    assert np.isnan(rounded.scales[3])


def test_quantization_of_a_row_of_zeros_does_not_divide_by_zero() -> None:
    quants = np.ones(32, np.int16)
    assert np.isfinite(row_ops.quantize_16(np.zeros(32, np.float32), quants))
    assert not quants.any()


@settings(max_examples=30)
@given(st.lists(st.floats(-(2.0**99), 2.0**99, width=32), min_size=1, max_size=40))
def test_the_maximum_and_the_largest_magnitude_are_those_of_numpy(values: list[float]) -> None:
    numbers: Floats = np.array(values, np.float32)
    assert row_ops.maximum(numbers) == numbers.max()
    assert row_ops.largest_magnitude(numbers) == max(abs(numbers).max(), np.float32(1e-20))
