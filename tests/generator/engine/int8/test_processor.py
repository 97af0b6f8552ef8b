"""Processor: the feature flags agree with the operating system's."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.engine.int8.processor import HAS_VNNI

CPU_INFO = Path("/proc/cpuinfo")


@pytest.mark.skipif(not CPU_INFO.is_file(), reason="Only Linux lists the processor's features in a file.")
def test_vnni_is_found_where_linux_lists_it() -> None:
    assert ("avx512_vnni" in CPU_INFO.read_text().split()) == HAS_VNNI
