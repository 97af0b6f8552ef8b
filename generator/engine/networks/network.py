"""Network: the seam between the model runner, which owns the slots, and what computes logits from them.

Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from typing import Any, Protocol

import torch

from generator.engine.networks.runner import BatchItem


class KVSlots(Protocol):
    """Keys and values of sequences. `lengths[slot]` positions hold something."""

    lengths: list[int]

    def begin(self, slot: int, start: int, end: int) -> None:
        """What stands from `start` on is about to be replaced, up to `end`. Raises IndexError if there is a hole
        before it or no room for it."""
        ...

    def commit(self, slot: int, end: int) -> None:
        """All layers have written up to `end`."""
        ...

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        """Make `target` hold what `source` does for its first `num_tokens` positions."""
        ...

    def check_integrity(self) -> None:
        """Raises ValueError if a position that should hold something cannot: out of range, or not a number."""
        ...


class Network(Protocol):
    """`position_bytes` is what a position takes in its slots, which may take it only `as_used`."""

    as_used: bool

    @property
    def position_bytes(self) -> int: ...

    def new_slots(self, num_slots: int, window: int) -> KVSlots: ...

    # Each network knows the slots it made, and no others.
    def logits(self, rows: AnySequence[BatchItem], slots: Any, should_stop: Callable[[], bool]) -> torch.Tensor:
        """Compute all rows, writing their keys and values into `slots`. Returns `[rows that want them, vocabulary]`.

        Called in inference mode. Raises Interrupted once `should_stop`, asked before each layer of a step that takes
        long, says so."""
        ...
