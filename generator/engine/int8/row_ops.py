"""Row operations: everything that happens to a token's numbers between two matmuls.

Quantization to 16 or 8 bits, norms, activation functions, softmax and RoPE, one row at a time. Every array is float32
and one-dimensional unless its docstring says otherwise. Callers pass a slice of their own for each row: then the
compiler sees that no index is negative and uses vector instructions. Knows nothing of weights in 8 bits or of slots.
"""

from __future__ import annotations

import numpy as np

from generator.engine.int8.compiling import compiled
from generator.engine.int8.simd import GROUP, WEIGHT_ZERO_POINT, bits_to_float, float_to_bits, quantize_group


@compiled
def largest_magnitude(numbers):
    """Return the largest absolute value, at least 1e-20, or NaN if a number is NaN.

    The bits of non-negative floats have the order of the floats, and NaN is the largest.
    """
    largest = float_to_bits(np.float32(1e-20))
    for index in range(numbers.size):
        largest = max(largest, float_to_bits(abs(numbers[index])))
    return bits_to_float(largest)


@compiled
def maximum(numbers):
    """Return the largest number.

    It compares integers: the rules of `max` for NaN would keep the compiler from using vector instructions.
    """
    largest = np.int32(-(2**31))
    for index in range(numbers.size):
        largest = max(largest, _flip_order(float_to_bits(numbers[index])))
    return bits_to_float(_flip_order(largest))


@compiled
def _flip_order(bits):
    """Turn the bits of a float into an integer of the same order, or back. Unchanged, negative floats are reversed."""
    return np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@compiled
def quantize_16(numbers, quants):
    """Quantize `numbers` to int16 in `quants`. Return their scale."""
    largest = largest_magnitude(numbers)
    inverse = np.float32(32767) / largest
    for index in range(numbers.size):
        quants[index] = np.int16(np.rint(numbers[index] * inverse))
    return largest / np.float32(32767)


@compiled
def quantize_product_16(numbers, factors, quants):
    """Quantize `numbers * factors` to int16 in `quants`, without storing the product. Return their scale."""
    largest = float_to_bits(np.float32(1e-20))
    for index in range(numbers.size):
        largest = max(largest, float_to_bits(abs(numbers[index] * factors[index])))
    inverse = np.float32(32767) / bits_to_float(largest)
    for index in range(numbers.size):
        quants[index] = np.int16(np.rint(numbers[index] * factors[index] * inverse))
    return bits_to_float(largest) / np.float32(32767)


@compiled
def quantize_8(numbers, quants, scales, corrections):
    """Quantize `numbers` to int8 in `quants`, with one scale for each group of 32 numbers in `scales`.

    `corrections`, int32 and one per group, are the initial sums that cancel the zero point of the weights: a weight is
    greater by `WEIGHT_ZERO_POINT`, so a dot product is greater by that times the sum of the quants.
    """
    for group in range(scales.size):
        begin = group * GROUP
        scales[group], total = quantize_group(numbers, begin, quants, begin)
        corrections[group] = np.int32(-WEIGHT_ZERO_POINT) * total


@compiled
def layer_norm(numbers, weights, biases, epsilon, out):
    """Write the layer norm of `numbers` to `out`."""
    mean = np.float32(0)
    for index in range(numbers.size):
        mean += numbers[index]
    mean /= np.float32(numbers.size)
    squares = np.float32(0)
    for index in range(numbers.size):
        squares += (numbers[index] - mean) * (numbers[index] - mean)
    factor = np.float32(1) / np.sqrt(squares / np.float32(numbers.size) + epsilon)
    for index in range(numbers.size):
        out[index] = (numbers[index] - mean) * factor * weights[index] + biases[index]


@compiled
def rms_norm(numbers, weights, epsilon, out):
    """Write the RMS norm of `numbers` to `out`."""
    squares = np.float32(0)
    for index in range(numbers.size):
        squares += numbers[index] * numbers[index]
    factor = np.float32(1) / np.sqrt(squares / np.float32(numbers.size) + epsilon)
    for index in range(numbers.size):
        out[index] = numbers[index] * factor * weights[index]


@compiled
def add_in_place(numbers, added):
    """Add `added` to `numbers`."""
    for index in range(numbers.size):
        numbers[index] += added[index]


@compiled
def gelu(numbers):
    """Replace `numbers` by their GELU, in GPT-2's approximation by a hyperbolic tangent."""
    for index in range(numbers.size):
        x = numbers[index]
        inner = np.float32(1.5957691216) * (x + np.float32(0.044715) * x * x * x)
        numbers[index] = x / (np.float32(1) + fast_exp(-inner))


@compiled
def silu_gate(gates, values):
    """Replace `gates` by `SiLU(gates) * values`."""
    for index in range(gates.size):
        x = gates[index]
        gates[index] = values[index] * x / (np.float32(1) + fast_exp(-x))


@compiled
def unnormalized_softmax(scores):
    """Replace `scores` by their softmax before the division. Return the divisor."""
    largest = maximum(scores)
    total = np.float32(0)
    for index in range(scores.size):
        weight = fast_exp(scores[index] - largest)
        scores[index] = weight
        total += weight
    return total


@compiled
def fast_exp(x):
    """Return e to the power of `x` with a relative error of a few millionths, in operations that vectorize."""
    x = min(max(x * np.float32(1.44269504), np.float32(-126)), np.float32(126))
    whole = np.rint(x)
    part = (x - whole) * np.float32(0.69314718)
    result = np.float32(1 / 720)
    result = result * part + np.float32(1 / 120)
    result = result * part + np.float32(1 / 24)
    result = result * part + np.float32(1 / 6)
    result = result * part + np.float32(0.5)
    result = result * part + np.float32(1)
    result = result * part + np.float32(1)
    return result * bits_to_float(np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)))


@compiled
def apply_rope(numbers, cosines, sines):
    """Rotate each pair of dimensions of a head in place (RoPE). The two of a pair are half a head apart.

    `numbers` is `[head_dim]`; `cosines` and `sines` are `[head_dim / 2]`, the rotations of one position.
    """
    half = numbers.size // 2
    lower, upper = numbers[:half], numbers[half:]
    for index in range(half):
        first, second = lower[index], upper[index]
        lower[index] = first * cosines[index] - second * sines[index]
        upper[index] = second * cosines[index] + first * sines[index]
