"""Processor: what the one we compile for can do that matters here.

Knows nothing of what is computed.
"""

from __future__ import annotations

from llvmlite import binding

FEATURES = binding.get_host_cpu_features()
# Whether four products of 8 bits and their sum are one instruction, and two of 16 bits.
HAS_VNNI: bool = FEATURES.get("avx512vnni", False)
