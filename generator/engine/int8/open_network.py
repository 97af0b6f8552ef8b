"""Opening: whether a model can compute in 8 bits here, and the network that does.

Owns what happens where numba is missing or fails. Knows nothing of whether it pays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from generator.engine.networks.model_weights import ModelWeights
from generator.engine.process.log import log

if TYPE_CHECKING:
    from generator.engine.int8.network import Int8Network


def open_int8(model: ModelWeights) -> Int8Network | None:
    """None, with a line in the log, where it cannot be had."""
    try:
        # Here, since it fails where numba does, and takes a moment.
        from generator.engine.int8.network import Int8Network
        from generator.engine.int8.pack_weights import fits

        return Int8Network(model, torch.get_num_threads()) if fits(model) else None
    except Exception as error:  # noqa: BLE001 - whatever is wrong with a compiler, the program writes without it
        log(f"8 bits cannot be computed with here, so fp32 is used: {type(error).__name__}: {error}")
        return None
