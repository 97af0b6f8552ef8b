"""Vectors: sixteen numbers at a time, for compiled functions.

Numba turns loops over arrays into vector instructions, but keeps no block of
sums in registers. These few operations do,
on a type `Sixteen`; LLVM makes of them what the processor has. Knows nothing of models.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic as numba_intrinsic
from numba.extending import models, register_model

# What numba calls with types, we call with values.
intrinsic: Any = numba_intrinsic

LANES = 16
# So many weights, or inputs, share a scale.
GROUP = 32

_INDEX, _BYTE, _HALF = ir.IntType(32), ir.IntType(8), ir.IntType(16)
_FLOATS = ir.VectorType(ir.FloatType(), LANES)
_STEPS = ir.VectorType(ir.IntType(32), LANES)
_BYTES = ir.VectorType(_BYTE, 2 * LANES)
_HALVES = ir.VectorType(_HALF, 2 * LANES)
# What tells a processor that a thread only waits.
_PAUSES: dict[str, tuple[str, tuple[Any, ...], tuple[Any, ...]]] = {
    **dict.fromkeys(("x86_64", "amd64"), ("llvm.x86.sse2.pause", (), ())),
    **dict.fromkeys(("aarch64", "arm64"), ("llvm.aarch64.hint", (_INDEX,), (_INDEX(1),))),
}


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


def _pointer(context: Any, builder: Any, kind: Any, array: Any, at: Any, layout: Any) -> Any:
    data = cgutils.create_struct_proxy(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [at]), layout.as_pointer())


def _load(context: Any, builder: Any, kind: Any, array: Any, at: Any, layout: Any) -> Any:
    return builder.load(_pointer(context, builder, kind, array, at, layout), align=1)


def _splat(builder: Any, number: Any, lanes: int = LANES) -> Any:
    layout = ir.VectorType(number.type, lanes)
    first = builder.insert_element(ir.Constant(layout, ir.Undefined), number, _INDEX(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_INDEX, lanes), [0] * lanes))


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    kind = ir.FunctionType(_FLOATS, [_FLOATS] * 3)
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.fmuladd.v16f32"), [a, b, c])


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
def add_scaled(context: Any, sums: Any, steps: Any, scales: Any) -> Any:
    """`sums + steps * scales`, where `sums` and `steps` are tuples."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        before, added, factor = arguments
        results = [
            _fma(
                builder,
                builder.sitofp(builder.extract_value(added, row), _FLOATS),
                factor,
                builder.extract_value(before, row),
            )
            for row in range(sums.count)
        ]
        return context.make_tuple(builder, signature.return_type, results)

    return sums(sums, steps, sixteen), generate


@intrinsic
def store(context: Any, array: Any, at: Any, stride: Any, sums: Any, factors: Any, first: Any) -> Any:
    """`array[at + row * stride + lane] = sums[row][lane] * factors[first + row]`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, begin, apart, rows, array_of_factors, first_factor = arguments
        for row, index in enumerate(_rows(builder, begin, apart, signature.args[3].count)):
            which = builder.add(first_factor, first_factor.type(row))
            factor = _load(context, builder, signature.args[4], array_of_factors, which, ir.FloatType())
            product = builder.fmul(builder.extract_value(rows, row), _splat(builder, factor))
            place = _pointer(context, builder, signature.args[0], target, index, _FLOATS)
            builder.store(product, place, align=1)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, sums, factors, types.intp), generate


@intrinsic
def no_steps(context: Any, like: Any) -> Any:
    """Zeros, as integers: as many vectors as the tuple `like` has."""
    result = types.UniTuple(_sixteen_steps, like.count)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return context.make_tuple(builder, result, [ir.Constant(_STEPS, None)] * result.count)

    return result(like), generate


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
            two = _load(context, builder, signature.args[1], inputs, index, _INDEX)
            both = builder.bitcast(_splat(builder, two), _HALVES)
            sums = _pair_sums(builder, pairs, both)
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


@intrinsic
def fetch_add(context: Any, array: Any, at: Any, amount: Any) -> Any:
    """Add to `array[at]`, as one step among threads. Returns what it was before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _pointer(context, builder, signature.args[0], arguments[0], arguments[1], ir.IntType(64))
        return builder.atomic_rmw("add", place, arguments[2], "acq_rel")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def fetch(context: Any, array: Any, at: Any) -> Any:
    """`array[at]` as other threads see it now."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = _pointer(context, builder, signature.args[0], arguments[0], arguments[1], ir.IntType(64))
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(array, types.intp), generate


@intrinsic
def pause(context: Any) -> Any:
    """Leave the core to its other thread, if it has one, for some tens of cycles."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        name, kinds, values = _PAUSES.get(platform.machine().lower(), ("llvm.donothing", (), ()))
        kind = ir.FunctionType(ir.VoidType(), list(kinds))
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), list(values))
        return context.get_dummy_value()

    return types.void(), generate
