"""Vectors: sixteen numbers at a time, for compiled functions.

Numba turns loops over arrays into vector instructions, but keeps no block of
sums in registers. These few operations do,
on a type `Sixteen`; LLVM makes of them what the processor has. Knows nothing of models.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import models, register_model

from generator.engine.int8.processor import HAS_VNNI

# What numba calls with types, we call with values.
intrinsic: Any = numba_intrinsic

LANES = 16
# So many weights, or inputs, share a scale.
GROUP = 32
# Weights that are multiplied by rows of 8 bits are kept so much greater: the instruction wants one of both unsigned.
UNSIGNED = 128

_INDEX, _BYTE, _HALF = ir.IntType(32), ir.IntType(8), ir.IntType(16)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_STEPS = ir.VectorType(ir.IntType(32), LANES)
_BYTES = ir.VectorType(_BYTE, 2 * LANES)
_HALVES = ir.VectorType(_HALF, 2 * LANES)
_QUADS = ir.VectorType(_BYTE, 4 * LANES)


class _Vector(types.Type):
    def __init__(self, name: str, layout: ir.VectorType) -> None:
        super().__init__(name)
        self.layout = layout


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: _Vector) -> None:
        super().__init__(manager, vector, vector.layout)


sixteen = _Vector("sixteen floats", _FLOATS)
_sixteen_steps = _Vector("sixteen integers", _STEPS)


def pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any, layout: Any) -> Any:
    """To `array[at]`, as if it were a `layout`."""
    data = cgutils.create_struct_proxy(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), layout.as_pointer())


def _load(context: Any, builder: Any, kind: Any, array: Any, at: Any, layout: Any) -> Any:
    return builder.load(pointer(context, builder, kind, array, at, layout), align=1)


def _splat(builder: Any, number: Any, lanes: int = LANES) -> Any:
    layout = ir.VectorType(number.type, lanes)
    first = builder.insert_element(ir.Constant(layout, ir.Undefined), number, _INDEX(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_INDEX, lanes), [0] * lanes))


def _splat_at(context: Any, builder: Any, kind: Any, array: Any, at: Any, layout: Any) -> Any:
    return _splat(builder, _load(context, builder, kind, array, at, layout))


def _call(builder: Any, result: Any, name: str, *values: Any) -> Any:
    """One of LLVM's own functions."""
    kind = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), list(values))


def _rows(builder: Any, at: Any, stride: Any, count: int) -> list[Any]:
    """The index of each of `count` rows that lie `stride` apart."""
    return [builder.add(at, builder.mul(stride, stride.type(row))) for row in range(count)]


@intrinsic(prefer_literal=True)
def zeros(context: Any, count: Any) -> Any:
    """A tuple of `count` vectors of zeros."""
    result = types.UniTuple(sixteen, count.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_tuple(builder, result, [ir.Constant(_FLOATS, None)] * result.count)

    return result(count), generate


@intrinsic
def load(context: Any, array: Any, at: Any) -> Any:
    """Sixteen floats of `array` from `at` on."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(context, builder, signature.args[0], arguments[0], arguments[1], _FLOATS)

    return sixteen(array, types.intp), generate


@intrinsic
def repeat(context: Any, vector: Any, like: Any) -> Any:
    """The vector as often as the tuple `like` has some."""
    result = types.UniTuple(vector, like.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_tuple(builder, result, [arguments[0]] * result.count)

    return result(vector, like), generate


@intrinsic
def add_scaled(context: Any, sums: Any, steps: Any, scales: Any) -> Any:
    """`sums + steps * scales`, of tuples."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        results = []
        for row in range(sums.count):
            before, added, factors = (builder.extract_value(argument, row) for argument in arguments)
            results.append(
                _call(builder, _FLOATS, "llvm.fmuladd.v16f32", builder.sitofp(added, _FLOATS), factors, before)
            )
        return context.make_tuple(builder, signature.return_type, results)

    return sums(sums, steps, scales), generate


@intrinsic
def store(context: Any, array: Any, at: Any, stride: Any, sums: Any) -> Any:
    """`array[at + row * stride + lane] = sums[row][lane]`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, begin, apart, rows = arguments
        for row, index in enumerate(_rows(builder, begin, apart, signature.args[3].count)):
            place = pointer(context, builder, signature.args[0], target, index, _FLOATS)
            builder.store(builder.extract_value(rows, row), place, align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, sums), generate


@intrinsic
def scale_rows(context: Any, sums: Any, factors: Any, at: Any, stride: Any) -> Any:
    """`sums[row] * factors[at + row * stride]`, of a tuple."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before, numbers, begin, apart = arguments
        results = [
            builder.fmul(
                builder.extract_value(before, row),
                _splat_at(context, builder, signature.args[1], numbers, index, ir.FloatType()),
            )
            for row, index in enumerate(_rows(builder, begin, apart, sums.count))
        ]
        return context.make_tuple(builder, signature.return_type, results)

    return sums(sums, factors, types.intp, types.intp), generate


@intrinsic
def no_steps(context: Any, like: Any) -> Any:
    """Zeros, as integers: as many vectors as the tuple `like` has."""
    result = types.UniTuple(_sixteen_steps, like.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_tuple(builder, result, [ir.Constant(_STEPS, None)] * result.count)

    return result(like), generate


@intrinsic
def steps_of_rows(context: Any, like: Any, numbers: Any, at: Any, stride: Any) -> Any:
    """One integer for each row, sixteen times: `numbers[at + row * stride]`, as many as the tuple `like` has."""
    result = types.UniTuple(_sixteen_steps, like.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, begin, apart = arguments
        results = [
            _splat_at(context, builder, signature.args[1], array, index, _INDEX)
            for index in _rows(builder, begin, apart, result.count)
        ]
        return context.make_tuple(builder, result, results)

    return result(like, numbers, types.intp, types.intp), generate


@intrinsic
def add_pairs(context: Any, steps: Any, rows: Any, at: Any, stride: Any, weights: Any, weights_at: Any) -> Any:
    """Adds to `steps` the products of two inputs of each row, 16 bits, with their weights for sixteen outputs, 8 bits,
    which lie as `[16, 2]`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before, inputs, begin, apart, bytes_array, bytes_at = arguments
        pairs = _load(context, builder, signature.args[4], bytes_array, bytes_at, _BYTES)
        pairs = builder.sext(pairs, _HALVES)
        results = []
        for row, index in enumerate(_rows(builder, begin, apart, steps.count)):
            both = _splat_at(context, builder, signature.args[1], inputs, index, _INDEX)
            sums = _pair_sums(builder, pairs, builder.bitcast(both, _HALVES))
            results.append(builder.add(builder.extract_value(before, row), sums))
        return context.make_tuple(builder, signature.return_type, results)

    return steps(steps, rows, types.intp, types.intp, weights, types.intp), generate


def _pair_sums(builder: Any, a: Any, b: Any) -> Any:
    """`a[2 i] * b[2 i] + a[2 i + 1] * b[2 i + 1]`: one instruction on most processors, which LLVM sees."""
    wide = ir.VectorType(_INDEX, 2 * LANES)
    products = builder.mul(builder.sext(a, wide), builder.sext(b, wide))
    halves = [ir.Constant(ir.VectorType(_INDEX, LANES), list(range(parity, 2 * LANES, 2))) for parity in (0, 1)]
    even, odd = (builder.shuffle_vector(products, products, half) for half in halves)
    return builder.add(even, odd)


@intrinsic
def add_quads(context: Any, steps: Any, rows: Any, at: Any, stride: Any, weights: Any, weights_at: Any) -> Any:
    """Adds to `steps` the products of four inputs of each row, 8 bits, with their weights for sixteen outputs, which
    lie as `[16, 4]` and are greater by `UNSIGNED`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before, inputs, begin, apart, bytes_array, bytes_at = arguments
        quads = _load(context, builder, signature.args[4], bytes_array, bytes_at, _STEPS)
        results = []
        for row, index in enumerate(_rows(builder, begin, apart, steps.count)):
            four = _splat_at(context, builder, signature.args[1], inputs, index, _INDEX)
            results.append(_add_quad_sums(builder, builder.extract_value(before, row), quads, four))
        return context.make_tuple(builder, signature.return_type, results)

    return steps(steps, rows, types.intp, types.intp, weights, types.intp), generate


def _add_quad_sums(builder: Any, before: Any, unsigned: Any, signed: Any) -> Any:
    """LLVM sees neither the one instruction nor, where that is missing, any fast way: the latter is for tests."""
    if HAS_VNNI:
        return _call(builder, _STEPS, "llvm.x86.avx512.vpdpbusd.512", before, unsigned, signed)
    a, b = builder.bitcast(unsigned, _QUADS), builder.bitcast(signed, _QUADS)
    for which in range(4):
        chosen = ir.Constant(ir.VectorType(_INDEX, LANES), list(range(which, 4 * LANES, 4)))
        weight = builder.zext(builder.shuffle_vector(a, a, chosen), _STEPS)
        number = builder.sext(builder.shuffle_vector(b, b, chosen), _STEPS)
        before = builder.add(before, builder.mul(weight, number))
    return before


@intrinsic
def round_group(context: Any, numbers: Any, at: Any, rows: Any, rows_at: Any) -> Any:
    """`GROUP` floats of `numbers` as bytes of `rows`. Returns what a step stands for, and the sum of the steps."""
    result = types.Tuple([types.float32, types.int32])

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        floats, steps = ir.VectorType(ir.FloatType(), GROUP), ir.VectorType(_INDEX, GROUP)
        array, begin, bytes_array, bytes_at = arguments
        x = _load(context, builder, signature.args[0], array, begin, floats)
        # Compared as bits, which have the same order: what is not a number is the largest.
        magnitudes = builder.and_(builder.bitcast(x, steps), ir.Constant(steps, [0x7FFFFFFF] * GROUP))
        peak = _call(builder, _INDEX, "llvm.vector.reduce.umax.v32i32", magnitudes)
        least = builder.bitcast(ir.FloatType()(1e-20), _INDEX)
        largest = builder.bitcast(builder.select(builder.icmp_unsigned(">", peak, least), peak, least), ir.FloatType())
        factor = _splat(builder, builder.fdiv(ir.FloatType()(127), largest), GROUP)
        rounded = builder.fptosi(_call(builder, floats, "llvm.rint.v32f32", builder.fmul(x, factor)), steps)
        place = pointer(context, builder, signature.args[2], bytes_array, bytes_at, _BYTES)
        builder.store(builder.trunc(rounded, _BYTES), place, align=1)
        total = _call(builder, _INDEX, "llvm.vector.reduce.add.v32i32", rounded)
        return context.make_tuple(builder, result, [builder.fdiv(largest, ir.FloatType()(127)), total])

    return result(numbers, types.intp, rows, types.intp), generate


@intrinsic
def float_of_bits(context: Any, bits: Any) -> Any:
    """The float that these 32 bits stand for."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic
def bits_of_float(context: Any, number: Any) -> Any:
    """The 32 bits of a float, as an integer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(32))

    return types.int32(types.float32), generate
