"""Matmul: packing, repacking, and products of quantized activations and packed matrices, against numpy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.int8.matmul import PAIR, QUAD, OutputRows, PackedMatrix, matmul, padded, repack, unpack
from tests.generator.engine.int8.quantized_arrays import floats, packed, quantized_8, quantized_16

ROOT = Path(__file__).parents[4]


@settings(max_examples=60, deadline=None)
@given(outputs=st.integers(1, 70), groups=st.integers(1, 5), count=st.integers(1, 21), seed=st.integers(0, 9999))
def test_a_matmul_equals_the_product_with_the_quantized_weight(
    outputs: int, groups: int, count: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    width, blocks = 32 * groups, padded(outputs) // 16
    weight, inputs = floats(random, outputs, width), floats(random, count, width)
    # The error of a row must be relative to that row, however large other rows are.
    inputs *= 10 ** np.linspace(-3, 3, count, dtype=np.float32)[:, None]
    quants, scales = packed(weight)
    kept = unpack(quants, scales, width)
    assert np.abs(kept[:outputs] - weight).max() <= np.abs(weight).max() / 112 / 2 * 1.001
    sizes = np.abs(inputs).max(1) * np.abs(kept).sum(1).max()
    out = np.zeros((count, padded(outputs)), np.float32)
    rows, matrix = OutputRows(out.ravel(), 0, out.shape[1]), PackedMatrix(quants, 0, scales, 0, width)
    matmul(rows, quantized_16(inputs), count, matrix, 0, blocks)
    expected = inputs.astype(np.float64) @ kept.T.astype(np.float64)
    assert (np.abs(out - expected).max(1) / sizes).max() < 3e-5

    repack(quants, PAIR, QUAD)
    rounded = quantized_8(inputs)
    matmul(rows, rounded, count, matrix, 0, blocks)
    dequantized = rounded.quants.astype(np.float64) * np.repeat(rounded.scales, 32)
    # Half a quant, and the rounding of fp32.
    assert (np.abs(dequantized - inputs.ravel()) <= 0.501 * np.repeat(rounded.scales, 32)).all()
    expected = dequantized.reshape(count, width) @ kept.T.astype(np.float64)
    assert (np.abs(out - expected).max(1) / sizes).max() < 3e-5
    repack(quants, QUAD, PAIR)
    assert (unpack(quants, scales, width) == kept).all()


@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 12), first=st.integers(0, 3), size=st.integers(0, 3), seed=st.integers(0, 9999))
def test_a_matmul_writes_only_the_blocks_that_it_is_asked_for(count: int, first: int, size: int, seed: int) -> None:
    """The matrix and the outputs lie in the middle of larger arrays, as they do in a model."""
    random, last = np.random.default_rng(seed), min(3, first + size)
    weight, inputs = floats(random, 48, 64), floats(random, count, 64)
    quants, scales = packed(weight)
    kept = unpack(quants, scales, 64)
    quants = np.concatenate([np.full(320, 99, np.int8), quants])
    scales = np.concatenate([np.full(10, np.nan, np.float32), scales])
    out = np.full((count, 60), 7, np.float32)
    matrix = PackedMatrix(quants, 320, scales, 10, 64)
    matmul(OutputRows(out.ravel(), 5, 60), quantized_16(inputs), count, matrix, first, last)
    columns = slice(5 + 16 * first, 5 + 16 * max(first, last))
    expected = np.full((count, 60), 7, np.float32)
    expected[:, columns] = (inputs @ kept.T)[:, 16 * first : 16 * max(first, last)]
    assert np.allclose(out, expected, atol=0.01)
    untouched = np.ones(60, bool)
    untouched[columns] = False
    assert (out[:, untouched] == 7).all()


@pytest.mark.parametrize(("neighbours", "zero_point"), [(PAIR, 0), (QUAD, 128)])
def test_a_packed_matrix_has_the_layout_that_the_readme_draws(neighbours: int, zero_point: int) -> None:
    random = np.random.default_rng(3)
    weight = random.integers(-127, 128, (40, 96)).astype(np.float32)
    weight[:, ::32] = 127
    quants, scales = packed(weight)
    repack(quants, PAIR, QUAD) if neighbours == QUAD else None
    raw = quants.view(np.uint8 if zero_point else np.int8).astype(int) - zero_point
    for output, inputs in np.ndindex(*weight.shape):
        block, lane, group, index = output // 16, output % 16, inputs // 32, inputs % 32
        place = (block * 3 + group) * 512 + index // neighbours * 16 * neighbours + lane * neighbours
        assert raw[place + index % neighbours] == weight[output, inputs]
        assert scales[(block * 3 + group) * 16 + lane] == 1


def test_weights_that_once_had_four_or_eight_bits_are_kept_exactly() -> None:
    random = np.random.default_rng(1)
    for low, high in ((-8, 8), (-7, 8), (-127, 128)):
        whole = random.integers(low, high, (32, 64)).astype(np.float32)
        whole[:, ::32] = low
        weight = whole * random.choice([0.25, 0.5, 2.0], (32, 1)).astype(np.float32)
        assert np.abs(unpack(*packed(weight), 64) - weight).max() < 1e-6 * np.abs(weight).max()


@pytest.mark.parametrize(("outputs", "expected"), [(1, 16), (16, 16), (17, 32), (49152, 49152)])
def test_outputs_are_padded_to_whole_blocks(outputs: int, expected: int) -> None:
    assert padded(outputs) == expected


def test_a_processor_without_vnni_computes_the_same(tmp_path: Path) -> None:
    """It runs in a process of its own with an empty cache, since the key of compiled code is the source alone."""
    code = f"""
from generator.engine.int8 import processor
from generator.engine.int8 import source_mark as mark
mark.source_mark = lambda: {str(tmp_path)!r}
processor.HAS_VNNI = False
from {__name__} import test_a_matmul_equals_the_product_with_the_quantized_weight
test_a_matmul_equals_the_product_with_the_quantized_weight()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.rglob("*.nbi"))
