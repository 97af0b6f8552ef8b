"""Compiling: how functions of this package become machine code, and where that is kept between starts.

Knows nothing of what they compute.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numba

from generator.engine.int8.processor import FEATURES, HAS_VNNI
from generator.engine.int8.source_mark import source_mark

_FOLDERS = (
    Path(__file__).parents[3] / ".models" / "compiled",
    Path(os.path.expanduser("~"), ".cache", "storygen", "compiled"),
)

# Its attributes are made when it is read.
_config: Any = numba.config


def _keep_compiled() -> bool:
    """In the first folder that can be written. A folder of its own for each state of the source: numba itself would
    only see that a function's own file has changed, not one it calls into."""
    for folder in _FOLDERS:
        try:
            (folder / source_mark()).mkdir(parents=True, exist_ok=True)
            (folder / ".writable").touch()
        except OSError:
            continue
        _config.CACHE_DIR = str(folder / source_mark())
        return True
    return False


if HAS_VNNI:
    # LLVM takes a product and a sum apart again on processors it holds to be slow at both in one; they are not.
    _config.CPU_FEATURES = FEATURES.flatten() + ",+fast-dpwssd"

# Nothing is promised about NaN or infinity: a model that overflows must be noticed.
OPTIONS: dict[str, Any] = {
    "nogil": True,
    "error_model": "numpy",
    "fastmath": {"reassoc", "contract", "arcp", "nsz", "afn"},
}
compiled = numba.njit(cache=_keep_compiled(), **OPTIONS)
