"""Slots: keys and values of every sequence in 8 bits, allocated once and written in place.

A head's keys lie as a packed weight does whose outputs are positions, so that scores are a product like any other; its
values as one whose inputs are positions. 32 dimensions of a position share a scale. Knows nothing of tokens or of who
holds a slot.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from generator.engine.int8.compiling import compiled
from generator.engine.int8.matmul import Bytes, Floats
from generator.engine.int8.row_ops import peak
from generator.engine.int8.simd import GROUP, LANES


class CacheArrays(NamedTuple):
    """All flat. `keys` `[layers, slots, heads, window / 16, head_dim / 2, 16, 2]`, their scales `[…, window / 16,
    head_dim / 32, 16]`; `values` `[…, head_dim / 16, window / 2, 16, 2]`, their scales `[…, head_dim / 32, window]`."""

    keys: Bytes
    key_scales: Floats
    values: Bytes
    value_scales: Floats


class Int8KVCache:
    """`lengths[slot]` positions hold something. `window` is filled up to whole groups."""

    def __init__(self, num_layers: int, num_slots: int, num_heads: int, head_dim: int, window: int) -> None:
        self.window = -(-window // GROUP) * GROUP
        self._limit = window
        self.lengths = [0] * num_slots
        count = num_layers * num_slots * num_heads * head_dim * self.window
        # Zeros take no memory before something else is written there.
        self.stored = CacheArrays(
            np.zeros(count, np.int8),
            np.zeros(count // GROUP, np.float32),
            np.zeros(count, np.int8),
            np.zeros(count // GROUP, np.float32),
        )
        self._by_slot = [array.reshape(num_layers, num_slots, -1) for array in self.stored]

    def begin(self, slot: int, start: int, end: int) -> None:
        """What stands from `start` on is about to be replaced, up to `end`. Raises IndexError if there is a hole
        before it or no room."""
        if not 0 <= start <= self.lengths[slot]:
            raise IndexError(f"slot {slot} holds {self.lengths[slot]} positions, none can be written at {start}")
        if end > self._limit:
            raise IndexError(f"position {end} is beyond the window of {self._limit}")
        self.lengths[slot] = start

    def commit(self, slot: int, end: int) -> None:
        """All layers have written up to `end`."""
        self.lengths[slot] = end

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        if num_tokens > self.lengths[source]:
            raise IndexError(f"slot {source} holds {self.lengths[source]} positions, not {num_tokens}")
        for array in self._by_slot:
            array[:, target] = array[:, source]
        self.lengths[target] = num_tokens

    def check_integrity(self) -> None:
        """Raises ValueError if a position that should hold something cannot: out of range, or not a number."""
        for slot, length in enumerate(self.lengths):
            if not 0 <= length <= self._limit:
                raise ValueError(f"slot {slot} claims {length} of {self._limit} positions")
            if not all(np.isfinite(scales[:, slot]).all() for scales in (self._by_slot[1], self._by_slot[3])):
                raise ValueError(f"slot {slot} holds something that is not a number")


@compiled
def write(stored, head_at, window, position, key, value):
    """Store a token's key and value of one head. `head_at` is where the head begins in `keys` and `values`."""
    groups, block, lane = key.size // GROUP, position // LANES, position % LANES
    for group in range(groups):
        numbers, at = key[group * GROUP : (group + 1) * GROUP], (block * groups + group) * LANES
        scale = peak(numbers) / np.float32(127)
        stored.key_scales[head_at // GROUP + at + lane] = scale
        steps = stored.keys[head_at + at * GROUP : head_at + (at + LANES) * GROUP]
        for dim in range(GROUP):
            steps[dim // 2 * 2 * LANES + 2 * lane + dim % 2] = np.int8(np.rint(numbers[dim] / scale))
        numbers = value[group * GROUP : (group + 1) * GROUP]
        scale = peak(numbers) / np.float32(127)
        stored.value_scales[head_at // GROUP + group * window + position] = scale
        for dim in range(GROUP):
            at = ((group * GROUP + dim) // LANES * window + position // 2 * 2) * LANES
            stored.values[head_at + at + 2 * (dim % LANES) + position % 2] = np.int8(np.rint(numbers[dim] / scale))
