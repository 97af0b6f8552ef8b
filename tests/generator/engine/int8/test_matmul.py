"""Products in 8 bits, attention over them, and what is computed on single rows, against numpy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.int8 import row_ops as rows
from generator.engine.int8.attention import attend, new_room, put_query
from generator.engine.int8.kv_cache import Int8KVCache, write
from generator.engine.int8.matmul import (
    PAIR,
    QUAD,
    Activations8,
    Activations16,
    Floats,
    multiply,
    pack,
    padded,
    rearrange,
    unpack,
)

ROOT = Path(__file__).parents[4]


def packed(weight: Floats) -> tuple[np.ndarray[tuple[int], np.dtype[np.int8]], Floats]:
    size = padded(len(weight)) * weight.shape[1]
    steps, scales = np.zeros(size, np.int8), np.zeros(size // 32, np.float32)
    pack(weight, steps, scales)
    return steps, scales


def floats(random: np.random.Generator, *shape: int) -> Floats:
    return random.standard_normal(shape).astype(np.float32)


def in_8_bits(numbers: Floats) -> Floats:
    """What is left of keys and values: every 32 dimensions of a position share a scale."""
    groups = numbers.reshape(-1, 32)
    scales = np.abs(groups).max(1, keepdims=True) / np.float32(127)
    kept: Floats = (np.rint(groups / scales) * scales).reshape(numbers.shape)
    return kept


def in_16_bits(numbers: Floats) -> Activations16:
    count, width = numbers.shape
    result = Activations16(np.zeros(numbers.size, np.int16), np.zeros(count, np.float32))
    for number, row in enumerate(numbers):
        result.factors[number] = rows.to_16_bits(row, result.numbers[number * width : (number + 1) * width])
    return result


def in_8_bits_each_32(numbers: Floats) -> Activations8:
    count, width = numbers.shape
    groups = width // 32
    result = Activations8(
        np.zeros(numbers.size, np.int8), np.zeros(count * groups, np.float32), np.zeros(count * groups, np.int32)
    )
    for number, row in enumerate(numbers):
        part = slice(number * groups, (number + 1) * groups)
        begin = number * width
        rows.to_8_bits(row, result.numbers[begin : begin + width], result.factors[part], result.offsets[part])
    return result


@settings(max_examples=60, deadline=None)
@given(outputs=st.integers(1, 70), groups=st.integers(1, 5), count=st.integers(1, 21), seed=st.integers(0, 9999))
def test_a_product_is_that_of_the_rounded_weight(outputs: int, groups: int, count: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    width, blocks = 32 * groups, padded(outputs) // 16
    weight, inputs = floats(random, outputs, width), floats(random, count, width)
    # Rows of very different sizes must not lose to each other.
    inputs *= 10 ** np.linspace(-3, 3, count, dtype=np.float32)[:, None]
    steps, scales = packed(weight)
    kept = unpack(steps, scales, width)
    assert np.abs(kept[:outputs] - weight).max() <= np.abs(weight).max() / 112 / 2 * 1.001
    sizes = np.abs(inputs).max(1) * np.abs(kept).sum(1).max()
    out = np.zeros((count, padded(outputs)), np.float32)
    multiply(out.ravel(), 0, out.shape[1], in_16_bits(inputs), count, width, steps, 0, scales, 0, 0, blocks)
    expected = inputs.astype(np.float64) @ kept.T.astype(np.float64)
    assert (np.abs(out - expected).max(1) / sizes).max() < 3e-5

    rearrange(steps, PAIR, QUAD)
    rounded = in_8_bits_each_32(inputs)
    multiply(out.ravel(), 0, out.shape[1], rounded, count, width, steps, 0, scales, 0, 0, blocks)
    left = rounded.numbers.astype(np.float64) * np.repeat(rounded.factors, 32)
    # Half a step, and what fp32 adds to it.
    assert (np.abs(left - inputs.ravel()) <= 0.501 * np.repeat(rounded.factors, 32)).all()
    expected = left.reshape(count, width) @ kept.T.astype(np.float64)
    assert (np.abs(out - expected).max(1) / sizes).max() < 3e-5
    rearrange(steps, QUAD, PAIR)
    assert (unpack(steps, scales, width) == kept).all()


def test_rows_in_8_bits_keep_what_is_not_a_number_and_what_is_nothing() -> None:
    numbers = np.zeros((2, 64), np.float32)
    numbers[1, 40] = np.nan
    rounded = in_8_bits_each_32(numbers)
    assert not rounded.numbers[:96].any()
    assert np.isfinite(rounded.factors[:3]).all()
    assert np.isnan(rounded.factors[3])


def test_weights_that_once_had_four_or_eight_bits_are_kept_exactly() -> None:
    random = np.random.default_rng(1)
    for low, high in ((-8, 8), (-7, 8), (-127, 128)):
        whole = random.integers(low, high, (32, 64)).astype(np.float32)
        whole[:, ::32] = low
        weight = whole * random.choice([0.25, 0.5, 2.0], (32, 1)).astype(np.float32)
        assert np.abs(unpack(*packed(weight), 64) - weight).max() < 1e-6 * np.abs(weight).max()


@settings(max_examples=40, deadline=None)
@given(
    past=st.integers(0, 40),
    count=st.integers(1, 8),
    group=st.integers(1, 3),
    dims=st.sampled_from([32, 64, 96]),
    seed=st.integers(0, 9999),
)
def test_attention_is_a_mean_weighed_by_scores(past: int, count: int, group: int, dims: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    slots, head_at = Int8KVCache(1, 2, 2, dims, 50), 3 * dims * 64
    # What was left behind at positions that nobody sees, and in the room, must not matter.
    for scales in (slots.stored.key_scales, slots.stored.value_scales):
        scales.fill(np.nan)
    for steps in (slots.stored.keys, slots.stored.values):
        steps.fill(99)
    keys, values = floats(random, past + count, dims), floats(random, past + count, dims)
    for position in range(past + count):
        write(slots.stored, head_at, slots.window, position, keys[position], values[position])
    keys, values = in_8_bits(keys), in_8_bits(values)
    queries = floats(random, count * group, dims)
    room = new_room(2, count * group, dims, slots.window)
    room.weights.fill(9999)
    for numbers in (room.scores, room.totals, room.means):
        numbers.fill(np.nan)
    for row, query in enumerate(queries):
        put_query(room, 1, row, query * np.float32(np.sqrt(dims)))
    attend(slots.stored, head_at, slots.window, dims, past, room, 1, count, group)
    out = room.means[1].reshape(-1, dims)
    for row, query in enumerate(queries):
        seen = past + row // group + 1
        weights = np.exp(keys[:seen] @ query - (keys[:seen] @ query).max())
        expected = weights @ values[:seen] / weights.sum()
        # A number half way between two steps may be rounded the other way here, which is all that differs.
        assert np.abs(out[row] - expected).max() < 0.05


@pytest.mark.parametrize("size", [1, 16, 37])
def test_what_happens_on_rows_is_what_numpy_makes_of_it(size: int) -> None:
    random = np.random.default_rng(size)
    x, weights, biases = floats(random, size), floats(random, size), floats(random, size)
    out = np.empty_like(x)
    rows.layer_norm(x, weights, biases, np.float32(1e-5), out)
    assert np.allclose(out, (x - x.mean()) / np.sqrt(x.var() + 1e-5) * weights + biases, atol=1e-5)
    rows.rms_norm(x, weights, np.float32(1e-5), out)
    assert np.allclose(out, x / np.sqrt((x**2).mean() + 1e-5) * weights, atol=1e-5)
    out = x.copy()
    rows.gate(out, weights)
    assert np.allclose(out, x / (1 + np.exp(-x)) * weights, atol=1e-5)
    out = x.copy()
    rows.gelu(out)
    assert np.allclose(out, x / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), atol=1e-5)
    for shift in (-9, 0, 9):
        assert rows.maximum(x + np.float32(shift)) == (x + np.float32(shift)).max()
    out = 30 * x
    total = rows.softmax(out)
    assert np.allclose(out / total, np.exp(30 * x - (30 * x).max()) / np.exp(30 * x - (30 * x).max()).sum(), atol=1e-5)


def test_what_is_not_a_number_is_not_hidden() -> None:
    for wrong in (np.nan, np.inf):
        factor = rows.to_16_bits(np.array([1, wrong, 2], np.float32), np.zeros(3, np.int16))
        assert not np.isfinite(factor)


def test_a_row_of_zeros_is_no_division_by_zero() -> None:
    numbers = np.ones(32, np.int16)
    assert np.isfinite(rows.to_16_bits(np.zeros(32, np.float32), numbers))
    assert not numbers.any()


def test_a_processor_without_the_instruction_computes_the_same(tmp_path: Path) -> None:
    """In a process of its own, which compiles anew: what is compiled is kept by the source alone."""
    code = f"""
from generator.engine.int8 import processor
from generator.engine.int8 import source_mark as mark
mark.source_mark = lambda: {str(tmp_path)!r}
processor.HAS_VNNI = False
from {__name__} import test_a_product_is_that_of_the_rounded_weight
test_a_product_is_that_of_the_rounded_weight()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.rglob("*.nbi"))
