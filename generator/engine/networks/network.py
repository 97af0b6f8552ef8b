"""Network: the interface between the model runner, which owns the slots, and a forward pass that computes logits.

Owns the base class of the networks whose slots are a `KVCache`. Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from typing import Any, Protocol

import torch

from generator.engine.networks.kv_cache import KVCache, LayerShape
from generator.engine.networks.runner import BatchItem


class KVSlots(Protocol):
    """Keys and values of sequences. The first `lengths[slot]` positions of a slot are valid."""

    lengths: list[int]

    def begin(self, slot: int, start: int, end: int) -> None:
        """Invalidate the positions from `start` on, because a forward is about to write `[start, end)`.

        Raise IndexError if a position before `start` is invalid or if `end` is beyond the window.
        """
        ...

    def commit(self, slot: int, end: int) -> None:
        """Mark the positions before `end` as valid. All layers have written them."""
        ...

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        """Copy the first `num_tokens` positions of slot `source` to slot `target`."""
        ...

    def check_integrity(self) -> None:
        """Raise ValueError if a valid position is outside the window or holds a value that is not finite."""
        ...


class Network(Protocol):
    """A forward pass and the slots that it writes into.

    A position of a slot takes `position_bytes` bytes. With `allocates_lazily` a position takes no memory before it is
    written.
    """

    allocates_lazily: bool

    @property
    def position_bytes(self) -> int: ...

    def new_slots(self, num_slots: int, window: int) -> KVSlots: ...

    # `slots` is `Any` because each network accepts only the slots that its own `new_slots` returned.
    def logits(self, items: AnySequence[BatchItem], slots: Any, should_stop: Callable[[], bool]) -> torch.Tensor:
        """Compute all items, write their keys and values into `slots`, return `[items that want logits, vocabulary]`.

        Call it in inference mode. A step that takes long calls `should_stop` before each layer. Raise Interrupted
        once it returns true.
        """
        ...


class CachedNetwork:
    """The part of a `Network` that all networks with a `KVCache` share: its slots and their size."""

    allocates_lazily = False

    def __init__(self, layers: AnySequence[LayerShape], dtype: torch.dtype, device: torch.device) -> None:
        self._layers, self.dtype, self.device = layers, dtype, device

    @property
    def position_bytes(self) -> int:
        return sum(layer.position_bytes(self.dtype) for layer in self._layers)

    def new_slots(self, num_slots: int, window: int) -> KVCache:
        return KVCache(self._layers, num_slots, window, self.dtype, self.device)
