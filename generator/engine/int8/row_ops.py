"""Rows: what happens to a token's numbers between two products.

Norms, activations and rounding to 16 or 8 bits, one row at a time. Rows come as arrays of their own, which lets the
compiler see that no index is negative and compute on many numbers at once. Knows nothing of weights in 8 bits or of
slots.
"""

from __future__ import annotations

import numpy as np

from generator.engine.int8.compiling import compiled
from generator.engine.int8.simd import GROUP, UNSIGNED, bits_of_float, float_of_bits, round_group


@compiled
def peak(numbers):
    """The largest magnitude, above zero; not a number if one is not. Compared as bits, which have the same order."""
    largest = bits_of_float(np.float32(1e-20))
    for index in range(numbers.size):
        largest = max(largest, bits_of_float(abs(numbers[index])))
    return float_of_bits(largest)


@compiled
def maximum(numbers):
    """Compared as integers in the same order: what `max` must do with NaN keeps it from becoming vectors."""
    largest = np.int32(-(2**31))
    for index in range(numbers.size):
        largest = max(largest, _in_order(bits_of_float(numbers[index])))
    return float_of_bits(_in_order(largest))


@compiled
def _in_order(bits):
    """The bits of a float as an integer of the same order, and back: as they are, those of negative floats fall."""
    return np.int32(bits ^ ((bits >> np.int32(31)) & np.int32(0x7FFFFFFF)))


@compiled
def to_16_bits(numbers, rows):
    """Rounds `numbers` into `rows`. Returns what a step stands for."""
    largest = peak(numbers)
    steps = np.float32(32767) / largest
    for index in range(numbers.size):
        rows[index] = np.int16(np.rint(numbers[index] * steps))
    return largest / np.float32(32767)


@compiled
def product_to_16_bits(numbers, factors, rows):
    """The same of `numbers * factors`, which are written nowhere."""
    largest = bits_of_float(np.float32(1e-20))
    for index in range(numbers.size):
        largest = max(largest, bits_of_float(abs(numbers[index] * factors[index])))
    steps = np.float32(32767) / float_of_bits(largest)
    for index in range(numbers.size):
        rows[index] = np.int16(np.rint(numbers[index] * factors[index] * steps))
    return float_of_bits(largest) / np.float32(32767)


@compiled
def to_8_bits(numbers, rows, factors, offsets):
    """Rounds `numbers` into `rows`, every 32 with a scale of their own: what a step stands for is put in `factors`. A
    product with weights that are `UNSIGNED` too great comes out right if it begins with `offsets`."""
    for group in range(factors.size):
        begin = group * GROUP
        factors[group], total = round_group(numbers, begin, rows, begin)
        offsets[group] = np.int32(-UNSIGNED) * total


@compiled
def layer_norm(numbers, weights, biases, epsilon, out):
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
    squares = np.float32(0)
    for index in range(numbers.size):
        squares += numbers[index] * numbers[index]
    factor = np.float32(1) / np.sqrt(squares / np.float32(numbers.size) + epsilon)
    for index in range(numbers.size):
        out[index] = numbers[index] * factor * weights[index]


@compiled
def add_to(numbers, added):
    for index in range(numbers.size):
        numbers[index] += added[index]


@compiled
def gelu(numbers):
    """In place. GPT-2's: by a hyperbolic tangent."""
    for index in range(numbers.size):
        x = numbers[index]
        inner = np.float32(1.5957691216) * (x + np.float32(0.044715) * x * x * x)
        numbers[index] = x / (np.float32(1) + exponential(-inner))


@compiled
def gate(gates, values):
    """Replaces the gates by their SiLU times the values."""
    for index in range(gates.size):
        x = gates[index]
        gates[index] = values[index] * x / (np.float32(1) + exponential(-x))


@compiled
def softmax(scores):
    """In place but for the division. Returns what to divide by."""
    largest = maximum(scores)
    total = np.float32(0)
    for index in range(scores.size):
        weight = exponential(scores[index] - largest)
        scores[index] = weight
        total += weight
    return total


@compiled
def exponential(x):
    """Within a few millionths of what it should be, in operations that become vector instructions."""
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
    return result * float_of_bits(np.int32((np.int32(whole) + np.int32(127)) << np.int32(23)))


@compiled
def turn(numbers, cosines, sines):
    """Turn each pair of dimensions, half a head apart, by its angle."""
    half = numbers.size // 2
    lower, upper = numbers[:half], numbers[half:]
    for index in range(half):
        first, second = lower[index], upper[index]
        lower[index] = first * cosines[index] - second * sines[index]
        upper[index] = second * cosines[index] + first * sines[index]
