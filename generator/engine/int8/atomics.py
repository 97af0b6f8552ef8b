"""Atomics: atomic operations on shared counters, for threads that run the same compiled function.

Knows nothing of the computation.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from generator.engine.int8.simd import intrinsic, pointer

_INT32, _INT64 = ir.IntType(32), ir.IntType(64)
# By machine: the LLVM intrinsic for the processor's spin-wait hint, the types of its arguments, and their values.
_SPIN_HINTS: dict[str, tuple[str, tuple[Any, ...], tuple[Any, ...]]] = {
    **dict.fromkeys(("x86_64", "amd64"), ("llvm.x86.sse2.pause", (), ())),
    **dict.fromkeys(("aarch64", "arm64"), ("llvm.aarch64.hint", (_INT32,), (_INT32(1),))),
}


@intrinsic
def fetch_add(context: Any, array: Any, index: Any, amount: Any) -> Any:
    """Add `amount` to the int64 `array[index]` atomically. Return the value before the addition."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = pointer(context, builder, signature.args[0], arguments[0], arguments[1], _INT64)
        return builder.atomic_rmw("add", place, arguments[2], "acq_rel")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def fetch(context: Any, array: Any, index: Any) -> Any:
    """Return the int64 `array[index]`. The thread then sees everything that was written before the value (acquire)."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = pointer(context, builder, signature.args[0], arguments[0], arguments[1], _INT64)
        return builder.load_atomic(place, "acquire", 8)

    return types.int64(array, types.intp), generate


@intrinsic
def pause(context: Any) -> Any:
    """Leave the core to its other hardware thread for some tens of cycles, if it has one."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        name, kinds, values = _SPIN_HINTS.get(platform.machine().lower(), ("llvm.donothing", (), ()))
        kind = ir.FunctionType(ir.VoidType(), list(kinds))
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), list(values))
        return context.get_dummy_value()

    return types.void(), generate
