"""Atomics: how threads that run the same compiled function share out numbers and wait.

Knows nothing of what they compute.
"""

from __future__ import annotations

import platform
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from generator.engine.int8.simd import intrinsic, pointer

_CODE = ir.IntType(32)
# What tells a processor that a thread only waits.
_PAUSES: dict[str, tuple[str, tuple[Any, ...], tuple[Any, ...]]] = {
    **dict.fromkeys(("x86_64", "amd64"), ("llvm.x86.sse2.pause", (), ())),
    **dict.fromkeys(("aarch64", "arm64"), ("llvm.aarch64.hint", (_CODE,), (_CODE(1),))),
}


@intrinsic
def fetch_add(context: Any, array: Any, at: Any, amount: Any) -> Any:
    """Add to `array[at]`, as one step among threads. Returns what it was before."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = pointer(context, builder, signature.args[0], arguments[0], arguments[1], ir.IntType(64))
        return builder.atomic_rmw("add", place, arguments[2], "acq_rel")

    return types.int64(array, types.intp, types.int64), generate


@intrinsic
def fetch(context: Any, array: Any, at: Any) -> Any:
    """`array[at]` as other threads see it now."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        place = pointer(context, builder, signature.args[0], arguments[0], arguments[1], ir.IntType(64))
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
