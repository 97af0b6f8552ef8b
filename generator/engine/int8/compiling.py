"""Compiling: the `compiled` decorator, numba's options, and the folder that keeps machine code between starts.

Knows nothing of the functions it compiles.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numba

from generator.engine.int8.processor import CPU_FEATURES, HAS_VNNI
from generator.engine.int8.source_mark import source_mark

_CACHE_FOLDERS = (
    Path(__file__).parents[3] / ".models" / "compiled",
    Path(os.path.expanduser("~"), ".cache", "storygen", "compiled"),
)

# Numba creates the attributes of its configuration at run time, so that no type checker sees them.
_config: Any = numba.config


def _enable_disk_cache() -> bool:
    """Make numba keep machine code in the first writable cache folder. Return whether there is one.

    Each source mark has a folder of its own. Numba alone would recompile a function when the function's own file has
    changed, but not when a file that it calls into has.
    """
    for folder in _CACHE_FOLDERS:
        try:
            (folder / source_mark()).mkdir(parents=True, exist_ok=True)
            (folder / ".writable").touch()
        except OSError:
            continue
        _config.CACHE_DIR = str(folder / source_mark())
        return True
    return False


if HAS_VNNI:
    # LLVM splits vpdpwssd into a multiplication and an addition on processors that it believes to be slow at it.
    # They are not.
    _config.CPU_FEATURES = CPU_FEATURES.flatten() + ",+fast-dpwssd"

# The flags `nnan` and `ninf` are missing on purpose: NaN and infinity must survive, so that a model that overflows is
# noticed.
COMPILER_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "arcp", "nsz", "afn"},
}
compiled = numba.njit(cache=_enable_disk_cache(), **COMPILER_OPTIONS)
