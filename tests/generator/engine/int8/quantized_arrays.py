"""Quantized arrays for tests: random floats, packed matrices, quantized activations, and their exact values."""

from __future__ import annotations

import numpy as np

from generator.engine.int8 import row_ops
from generator.engine.int8.matmul import Activations8, Activations16, Bytes, Floats, pack, padded


def floats(random: np.random.Generator, *shape: int) -> Floats:
    return random.standard_normal(shape).astype(np.float32)


def packed(weight: Floats) -> tuple[Bytes, Floats]:
    """Return the quants and scales of a matrix `[outputs, inputs]`, packed for 16-bit activations."""
    size = padded(len(weight)) * weight.shape[1]
    quants, scales = np.zeros(size, np.int8), np.zeros(size // 32, np.float32)
    pack(weight, quants, scales)
    return quants, scales


def quantized_16(numbers: Floats) -> Activations16:
    """Quantize rows `[count, inputs]`."""
    count, width = numbers.shape
    result = Activations16(np.zeros(numbers.size, np.int16), np.zeros(count, np.float32))
    for number, row in enumerate(numbers):
        result.scales[number] = row_ops.quantize_16(row, result.quants[number * width : (number + 1) * width])
    return result


def quantized_8(numbers: Floats) -> Activations8:
    """Quantize rows `[count, inputs]`."""
    count, width = numbers.shape
    groups = width // 32
    result = Activations8(
        np.zeros(numbers.size, np.int8), np.zeros(count * groups, np.float32), np.zeros(count * groups, np.int32)
    )
    for number, row in enumerate(numbers):
        part, begin = slice(number * groups, (number + 1) * groups), number * width
        row_ops.quantize_8(row, result.quants[begin : begin + width], result.scales[part], result.corrections[part])
    return result


def rounded_to_8_bits(numbers: Floats) -> Floats:
    """Return keys or values as the KV cache keeps them: every 32 dimensions of a position share a scale."""
    groups = numbers.reshape(-1, 32)
    scales = np.abs(groups).max(1, keepdims=True) / np.float32(127)
    kept: Floats = (np.rint(groups / scales) * scales).reshape(numbers.shape)
    return kept
