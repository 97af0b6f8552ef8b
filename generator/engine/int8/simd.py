"""SIMD: operations on vectors of sixteen numbers, for compiled functions.

Numba turns loops over arrays into vector instructions, but it does not keep a block of sums in registers. These
intrinsics do. Each one receives numba types and returns a signature and a function that emits LLVM IR; LLVM picks the
instructions that the processor has. Owns the vector types and the sizes of blocks and groups. Knows nothing of models.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import models, register_model

from generator.engine.int8.processor import HAS_VNNI

# Numba calls an intrinsic with types, the compiled code calls it with values: no annotation fits both.
intrinsic: Any = numba_intrinsic

# The number of outputs in a block of a packed matrix: one vector register holds their sums.
LANES = 16
# The number of inputs that share a quantization scale.
GROUP = 32
# Weights for 8-bit activations are stored as unsigned bytes, greater by this zero point: `vpdpbusd` multiplies unsigned
# bytes by signed ones.
WEIGHT_ZERO_POINT = 128

_INT8, _INT16, _INT32, _FLOAT = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.FloatType()
_FLOATS_X16, _INT32_X16 = ir.VectorType(_FLOAT, LANES), ir.VectorType(_INT32, LANES)
_INT8_X32, _INT16_X32 = ir.VectorType(_INT8, 2 * LANES), ir.VectorType(_INT16, 2 * LANES)
_INT8_X64 = ir.VectorType(_INT8, 4 * LANES)


class _Vector(types.Type):
    """A numba type whose values are LLVM vectors."""

    def __init__(self, name: str, layout: ir.VectorType) -> None:
        super().__init__(name)
        self.layout = layout


@register_model(_Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: _Vector) -> None:
        super().__init__(manager, vector, vector.layout)


_float_vector = _Vector("sixteen floats", _FLOATS_X16)
_int_vector = _Vector("sixteen integers", _INT32_X16)


def pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, layout: Any) -> Any:
    """Return a pointer to `array[index]`, cast to a pointer to `layout`."""
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), layout.as_pointer())


def _load(context: Any, builder: Any, array_type: Any, array: Any, index: Any, layout: Any) -> Any:
    return builder.load(pointer(context, builder, array_type, array, index, layout), align=1)


def _broadcast(builder: Any, number: Any, lanes: int = LANES) -> Any:
    layout = ir.VectorType(number.type, lanes)
    first = builder.insert_element(ir.Constant(layout, ir.Undefined), number, _INT32(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_INT32, lanes), [0] * lanes))


def _load_broadcast(context: Any, builder: Any, array_type: Any, array: Any, index: Any, layout: Any) -> Any:
    return _broadcast(builder, _load(context, builder, array_type, array, index, layout))


def _call(builder: Any, result: Any, name: str, *values: Any) -> Any:
    """Call an intrinsic function of LLVM."""
    kind = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), list(values))


def _row_indices(builder: Any, start: Any, stride: Any, count: int) -> list[Any]:
    """Return `start + row * stride` for each of `count` rows."""
    return [builder.add(start, builder.mul(stride, stride.type(row))) for row in range(count)]


@intrinsic(prefer_literal=True)
def zero_floats(context: Any, count: Any) -> Any:
    """Return a tuple of `count` float vectors of zeros. `count` is a literal."""
    result = types.UniTuple(_float_vector, count.literal_value)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_tuple(builder, result, [ir.Constant(_FLOATS_X16, None)] * result.count)

    return result(count), generate


@intrinsic
def load_floats(context: Any, array: Any, start: Any) -> Any:
    """Return the float vector `array[start : start + 16]`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _load(context, builder, signature.args[0], arguments[0], arguments[1], _FLOATS_X16)

    return _float_vector(array, types.intp), generate


@intrinsic
def repeat(context: Any, vector: Any, like: Any) -> Any:
    """Return a tuple that contains `vector` as often as the tuple `like` has elements."""
    result = types.UniTuple(vector, like.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_tuple(builder, result, [arguments[0]] * result.count)

    return result(vector, like), generate


@intrinsic
def add_scaled(context: Any, sums: Any, integers: Any, scales: Any) -> Any:
    """Return `sums + integers * scales` for tuples of vectors: floats, integers, floats."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        results = []
        for row in range(sums.count):
            before, added, factors = (builder.extract_value(argument, row) for argument in arguments)
            added = builder.sitofp(added, _FLOATS_X16)
            results.append(_call(builder, _FLOATS_X16, "llvm.fmuladd.v16f32", added, factors, before))
        return context.make_tuple(builder, signature.return_type, results)

    return sums(sums, integers, scales), generate


@intrinsic
def store_rows(context: Any, array: Any, start: Any, stride: Any, sums: Any) -> Any:
    """Store a tuple of float vectors: `array[start + row * stride + lane] = sums[row][lane]`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, begin, apart, rows = arguments
        for row, index in enumerate(_row_indices(builder, begin, apart, signature.args[3].count)):
            place = pointer(context, builder, signature.args[0], target, index, _FLOATS_X16)
            builder.store(builder.extract_value(rows, row), place, align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, sums), generate


@intrinsic
def scale_rows(context: Any, sums: Any, scales: Any, start: Any, stride: Any) -> Any:
    """Return `sums[row] * scales[start + row * stride]` for each row of a tuple of float vectors."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before, numbers, begin, apart = arguments
        results = [
            builder.fmul(
                builder.extract_value(before, row),
                _load_broadcast(context, builder, signature.args[1], numbers, index, _FLOAT),
            )
            for row, index in enumerate(_row_indices(builder, begin, apart, sums.count))
        ]
        return context.make_tuple(builder, signature.return_type, results)

    return sums(sums, scales, types.intp, types.intp), generate


@intrinsic
def zero_ints(context: Any, like: Any) -> Any:
    """Return a tuple of integer vectors of zeros, with as many elements as the tuple `like`."""
    result = types.UniTuple(_int_vector, like.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_tuple(builder, result, [ir.Constant(_INT32_X16, None)] * result.count)

    return result(like), generate


@intrinsic
def broadcast_ints(context: Any, like: Any, numbers: Any, start: Any, stride: Any) -> Any:
    """Return one integer vector for each element of the tuple `like`: sixteen times `numbers[start + row * stride]`."""
    result = types.UniTuple(_int_vector, like.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, array, begin, apart = arguments
        results = [
            _load_broadcast(context, builder, signature.args[1], array, index, _INT32)
            for index in _row_indices(builder, begin, apart, result.count)
        ]
        return context.make_tuple(builder, result, results)

    return result(like, numbers, types.intp, types.intp), generate


@intrinsic
def accumulate_pairs(context: Any, sums: Any, rows: Any, start: Any, stride: Any, weights: Any, at: Any) -> Any:
    """Add two products per output to `sums`, a tuple of integer vectors with one vector per row of activations.

    `rows[start + row * stride]` and the next number are two 16-bit inputs of a row. `weights[at:]` holds their signed
    8-bit weights for sixteen outputs as `[16, 2]`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before, inputs, begin, apart, bytes_array, bytes_at = arguments
        pairs = _load(context, builder, signature.args[4], bytes_array, bytes_at, _INT8_X32)
        pairs = builder.sext(pairs, _INT16_X32)
        results = []
        for row, index in enumerate(_row_indices(builder, begin, apart, sums.count)):
            both = _load_broadcast(context, builder, signature.args[1], inputs, index, _INT32)
            added = _pair_sums(builder, pairs, builder.bitcast(both, _INT16_X32))
            results.append(builder.add(builder.extract_value(before, row), added))
        return context.make_tuple(builder, signature.return_type, results)

    return sums(sums, rows, types.intp, types.intp, weights, types.intp), generate


def _pair_sums(builder: Any, a: Any, b: Any) -> Any:
    """Emit `a[2 i] * b[2 i] + a[2 i + 1] * b[2 i + 1]`, which LLVM turns into one instruction on most processors."""
    wide = ir.VectorType(_INT32, 2 * LANES)
    products = builder.mul(builder.sext(a, wide), builder.sext(b, wide))
    halves = [ir.Constant(_INT32_X16, list(range(parity, 2 * LANES, 2))) for parity in (0, 1)]
    even, odd = (builder.shuffle_vector(products, products, half) for half in halves)
    return builder.add(even, odd)


@intrinsic
def accumulate_quads(context: Any, sums: Any, rows: Any, start: Any, stride: Any, weights: Any, at: Any) -> Any:
    """Add four products per output to `sums`, a tuple of integer vectors with one vector per row of activations.

    `rows[start + row * stride]` and the next three numbers are four signed 8-bit inputs of a row. `weights[at:]` holds
    their weights for sixteen outputs as `[16, 4]`, unsigned: greater by `WEIGHT_ZERO_POINT`.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before, inputs, begin, apart, bytes_array, bytes_at = arguments
        quads = _load(context, builder, signature.args[4], bytes_array, bytes_at, _INT32_X16)
        results = []
        for row, index in enumerate(_row_indices(builder, begin, apart, sums.count)):
            four = _load_broadcast(context, builder, signature.args[1], inputs, index, _INT32)
            results.append(_add_quad_sums(builder, builder.extract_value(before, row), quads, four))
        return context.make_tuple(builder, signature.return_type, results)

    return sums(sums, rows, types.intp, types.intp, weights, types.intp), generate


def _add_quad_sums(builder: Any, before: Any, unsigned: Any, signed: Any) -> Any:
    """Emit `vpdpbusd` by name, since LLVM does not recognize it in a loop. The slow way without it is for tests."""
    if HAS_VNNI:
        return _call(builder, _INT32_X16, "llvm.x86.avx512.vpdpbusd.512", before, unsigned, signed)
    a, b = builder.bitcast(unsigned, _INT8_X64), builder.bitcast(signed, _INT8_X64)
    for part in range(4):
        chosen = ir.Constant(_INT32_X16, list(range(part, 4 * LANES, 4)))
        weight = builder.zext(builder.shuffle_vector(a, a, chosen), _INT32_X16)
        number = builder.sext(builder.shuffle_vector(b, b, chosen), _INT32_X16)
        before = builder.add(before, builder.mul(weight, number))
    return before


@intrinsic
def quantize_group(context: Any, numbers: Any, start: Any, quants: Any, quants_start: Any) -> Any:
    """Quantize `GROUP` floats of `numbers` to bytes in `quants`. Return their scale and the sum of the bytes."""
    result = types.Tuple([types.float32, types.int32])

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        floats, integers = ir.VectorType(_FLOAT, GROUP), ir.VectorType(_INT32, GROUP)
        array, begin, bytes_array, bytes_at = arguments
        x = _load(context, builder, signature.args[0], array, begin, floats)
        # The bits of non-negative floats, compared as integers, have the floats' order, and NaN is the largest.
        magnitudes = builder.and_(builder.bitcast(x, integers), ir.Constant(integers, [0x7FFFFFFF] * GROUP))
        peak = _call(builder, _INT32, "llvm.vector.reduce.umax.v32i32", magnitudes)
        least = builder.bitcast(_FLOAT(1e-20), _INT32)
        largest = builder.bitcast(builder.select(builder.icmp_unsigned(">", peak, least), peak, least), _FLOAT)
        inverse = _broadcast(builder, builder.fdiv(_FLOAT(127), largest), GROUP)
        rounded = builder.fptosi(_call(builder, floats, "llvm.rint.v32f32", builder.fmul(x, inverse)), integers)
        place = pointer(context, builder, signature.args[2], bytes_array, bytes_at, _INT8_X32)
        builder.store(builder.trunc(rounded, _INT8_X32), place, align=1)
        total = _call(builder, _INT32, "llvm.vector.reduce.add.v32i32", rounded)
        return context.make_tuple(builder, result, [builder.fdiv(largest, _FLOAT(127)), total])

    return result(numbers, types.intp, quants, types.intp), generate


@intrinsic
def bits_to_float(context: Any, bits: Any) -> Any:
    """Return the float whose 32 bits are the integer `bits`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _FLOAT)

    return types.float32(types.int32), generate


@intrinsic
def float_to_bits(context: Any, number: Any) -> Any:
    """Return the 32 bits of a float as an integer."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], _INT32)

    return types.int32(types.float32), generate
