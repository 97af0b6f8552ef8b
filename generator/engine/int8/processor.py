"""Processor: the features of the CPU that numba compiles for.

Knows nothing of the computation.
"""

from __future__ import annotations

from llvmlite import binding

CPU_FEATURES = binding.get_host_cpu_features()
# AVX-512 VNNI has one instruction that multiplies four pairs of 8-bit numbers and adds the products to a sum, and one
# that does the same with two pairs of 16-bit numbers.
HAS_VNNI: bool = CPU_FEATURES.get("avx512vnni", False)
