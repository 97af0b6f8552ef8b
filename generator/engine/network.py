"""Network: the seam between the model runner, which owns the slots, and what computes logits from them.

Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from typing import Protocol

import torch

from generator.engine.kv_cache import KVCache, LayerShape
from generator.engine.runner import Row


class Network(Protocol):
    """`layers`, `dtype` and `device` say how its cache must look."""

    @property
    def layers(self) -> AnySequence[LayerShape]: ...

    @property
    def dtype(self) -> torch.dtype: ...

    @property
    def device(self) -> torch.device: ...

    def logits(self, rows: AnySequence[Row], cache: KVCache, should_stop: Callable[[], bool]) -> torch.Tensor:
        """Compute all rows, writing their keys and values into `cache`. Returns `[rows that want them, vocabulary]`.

        Called in inference mode. Raises Interrupted once `should_stop`, asked before each layer, says so."""
        ...
