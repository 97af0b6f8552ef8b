"""Phases: norms, quantization and matmuls with each epilogue, by several threads, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.int8.attention import new_attention_scratch
from generator.engine.int8.matmul import Activations8, Activations16, Floats, unpack
from generator.engine.int8.phases import ADD_TO_HIDDEN, GATE, GELU, KEEP, Linear, Scratch, linear_layer, normalize
from generator.engine.int8.thread_pool import new_counters, shared_pool
from generator.engine.int8.weights import EightBitMatmuls, Shape, Weights
from tests.generator.engine.int8.quantized_arrays import floats, packed, quantized_16

INPUTS, OUTPUTS, EMPTY = 64, 96, np.zeros(0, np.float32)


def new_scratch(count: int, activations16: Activations16 | None = None) -> Scratch:
    size = count * OUTPUTS
    return Scratch(
        hidden=np.zeros(size, np.float32),
        wide=np.zeros(size, np.float32),
        narrow=np.zeros(size, np.float32),
        activations8=Activations8(
            np.zeros(size, np.int8), np.zeros(size // 32, np.float32), np.zeros(size // 32, np.int32)
        ),
        activations16=activations16 or Activations16(np.zeros(size, np.int16), np.zeros(count, np.float32)),
        attention=new_attention_scratch(2, 1, 32, 32),
        counters=new_counters(1),
    )


def weights_of(weight: Floats, vectors: Floats, offsets: list[int]) -> Weights:
    return Weights(*packed(weight), vectors, np.array([offsets], np.int64), EMPTY, EMPTY)


def expected_outputs(epilogue: int, products: Floats, hidden: Floats) -> tuple[Floats, Floats]:
    """Return the outputs that matter later, and the hidden rows."""
    if epilogue == ADD_TO_HIDDEN:
        return products, hidden + products
    if epilogue == GELU:
        inner = np.sqrt(2 / np.pi) * (products + 0.044715 * products**3)
        return products / 2 * (1 + np.tanh(inner)), hidden
    if epilogue == GATE:
        gates, values = products[:, : OUTPUTS // 2], products[:, OUTPUTS // 2 :]
        return gates / (1 + np.exp(-gates)) * values, hidden
    return products, hidden


@pytest.mark.parametrize("epilogue", [KEEP, ADD_TO_HIDDEN, GELU, GATE])
@settings(max_examples=15, deadline=None)
@given(count=st.integers(1, 10), with_bias=st.booleans(), threads=st.integers(1, 3), seed=st.integers(0, 9999))
def test_a_linear_layer_adds_its_bias_and_applies_its_epilogue(
    epilogue: int, count: int, with_bias: bool, threads: int, seed: int
) -> None:
    # Only layers without gates have biases.
    with_bias = with_bias and epilogue != GATE
    random = np.random.default_rng(seed)
    weight = floats(random, OUTPUTS, INPUTS) / np.float32(8)
    inputs, bias = floats(random, count, INPUTS), floats(random, OUTPUTS)
    weights = weights_of(weight, np.concatenate([np.full(5, np.nan, np.float32), bias]), [-1, -1])
    scratch, hidden = new_scratch(count, quantized_16(inputs)), floats(random, count, OUTPUTS)
    scratch.hidden[:] = hidden.ravel()
    linear = Linear(0, 5 if with_bias else -1, INPUTS, OUTPUTS, False, epilogue)
    shared_pool(threads).run(lambda _: linear_layer(linear, weights, scratch, scratch.wide, count, 0, threads))
    products = inputs @ unpack(weights.quants, weights.scales, INPUTS).T + (bias if with_bias else 0)
    expected, expected_hidden = expected_outputs(epilogue, products, hidden)
    assert np.allclose(scratch.wide.reshape(count, OUTPUTS)[:, : expected.shape[1]], expected, atol=2e-3)
    assert np.allclose(scratch.hidden.reshape(count, OUTPUTS), expected_hidden, atol=2e-3)


@pytest.mark.parametrize("eight_bit", [False, True])
@pytest.mark.parametrize("with_bias", [False, True])
def test_hidden_rows_are_normalized_and_quantized(with_bias: bool, eight_bit: bool) -> None:
    random, count = np.random.default_rng(4), 5
    hidden, factors, biases = floats(random, count, INPUTS), floats(random, INPUTS), floats(random, INPUTS)
    weights = weights_of(floats(random, 16, 32), np.concatenate([factors, biases]), [0, INPUTS if with_bias else -1])
    shape = Shape(INPUTS, 2, 2, 32, 128, 128, 1e-5, 1, 32, EightBitMatmuls())
    scratch = new_scratch(count)
    scratch.hidden[: hidden.size] = hidden.ravel()
    shared_pool(2).run(lambda _: normalize(shape, weights, scratch, 0, 0, eight_bit, count, 0, 2))
    if with_bias:
        centered = hidden - hidden.mean(1, keepdims=True)
        expected = centered / np.sqrt(hidden.var(1, keepdims=True) + 1e-5) * factors + biases
    else:
        expected = hidden / np.sqrt((hidden**2).mean(1, keepdims=True) + 1e-5) * factors
    if eight_bit:
        rows = scratch.activations8
        scales = rows.scales[: hidden.size // 32].repeat(32).reshape(hidden.shape)
        found = rows.quants[: hidden.size].reshape(hidden.shape) * scales
    else:
        scales = scratch.activations16.scales[:, None]
        found = scratch.activations16.quants[: hidden.size].reshape(hidden.shape) * scales
    assert (np.abs(found - expected) <= 0.51 * scales + 1e-5).all()
