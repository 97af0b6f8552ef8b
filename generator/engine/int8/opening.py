"""Opening: whether a model can compute in 8 bits here, and the network that does.

Owns what happens where numba is missing or fails. Knows nothing of whether it pays.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from generator.engine.families import ModelWeights
from generator.engine.log import log

if TYPE_CHECKING:
    from generator.engine.int8.network import Int8Network


def open_int8(model: ModelWeights) -> Int8Network | None:
    """None, with a line in the log, where it cannot be had."""
    try:
        # Here, since it fails where numba does, and takes a moment.
        from generator.engine.int8.layout import fits
        from generator.engine.int8.network import Int8Network

        return Int8Network(model, torch.get_num_threads()) if fits(model) else None
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a compiler, the program writes without it
        log(f"8 bits cannot be computed with here, so fp32 is used: {type(error).__name__}: {error}")
        return None


def source_mark() -> str:
    """Changes with the source of this package and with numba: what was compiled or measured before is then void."""
    digest = hashlib.blake2b(digest_size=8)
    try:
        digest.update(version("numba").encode())
    except PackageNotFoundError:
        digest.update(b"without numba")
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
