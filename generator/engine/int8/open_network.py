"""Opening: the 8-bit network of a model, if the model and this machine allow one.

Owns the fallback for machines where numba is missing or fails. Knows nothing of speed or error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from generator.engine.networks.model_weights import ModelWeights
from generator.engine.process.log import log

if TYPE_CHECKING:
    from generator.engine.int8.network import Int8Network


def open_int8(model: ModelWeights) -> Int8Network | None:
    """Return the network, or None if the model does not fit. If numba is missing or fails, log why and return None."""
    try:
        # These imports fail where numba is missing, and they take a moment.
        from generator.engine.int8.network import Int8Network
        from generator.engine.int8.pack_weights import can_pack

        return Int8Network(model, torch.get_num_threads()) if can_pack(model) else None
    except Exception as error:  # noqa: BLE001 - the program must write with or without a working compiler
        log(f"This machine cannot compute in 8 bits, so fp32 is used: {type(error).__name__}: {error}")
        return None
