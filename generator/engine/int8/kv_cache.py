"""KV cache: keys and values of every sequence in 8 bits, allocated once and written in place.

The keys of a head are a packed matrix whose outputs are positions, so that scores are a matmul like any other; its
values are one whose inputs are positions. 32 dimensions of a position share a scale. Owns the arrays and the number of
positions that each slot holds. Knows nothing of tokens or of slot owners.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from generator.engine.int8.compiling import compiled
from generator.engine.int8.matmul import PAIR, Bytes, Floats
from generator.engine.int8.row_ops import largest_magnitude
from generator.engine.int8.simd import GROUP, LANES


class CacheArrays(NamedTuple):
    """The arrays of all slots, flat. Each shape begins with `[layers, slots, heads, …]`.

    keys          int8 […, window / 16, head_dim / 2, 16, 2]
    key_scales    float32 […, window / 16, head_dim / 32, 16]
    values        int8 […, head_dim / 16, window / 2, 16, 2]
    value_scales  float32 […, head_dim / 32, window]
    """

    keys: Bytes
    key_scales: Floats
    values: Bytes
    value_scales: Floats


class CachedHead(NamedTuple):
    """One head of one slot: where its keys and its values begin, and their size, `[window, dims]`. Its scales begin at
    `start / 32`."""

    start: int
    window: int
    dims: int


class Int8KVCache:
    """The KV cache of a model. `lengths[slot]` is the number of positions that a slot holds.

    `window` is the number of positions that a slot has memory for: the requested number, rounded up to whole groups.
    """

    def __init__(self, num_layers: int, num_slots: int, num_heads: int, head_dim: int, window: int) -> None:
        self.window = -(-window // GROUP) * GROUP
        self._limit = window
        self.lengths = [0] * num_slots
        count = num_layers * num_slots * num_heads * head_dim * self.window
        # Zeros take no memory until another value is written to their page.
        self.arrays = CacheArrays(
            np.zeros(count, np.int8),
            np.zeros(count // GROUP, np.float32),
            np.zeros(count, np.int8),
            np.zeros(count // GROUP, np.float32),
        )
        self._by_slot = [array.reshape(num_layers, num_slots, -1) for array in self.arrays]

    def begin(self, slot: int, start: int, end: int) -> None:
        """Announce that positions `[start, end)` are about to be written; the slot holds `start` positions until then.

        Raise IndexError if a position before `start` is missing or `end` is beyond the window.
        """
        if not 0 <= start <= self.lengths[slot]:
            raise IndexError(f"Slot {slot} holds {self.lengths[slot]} positions; position {start} cannot be written.")
        if end > self._limit:
            raise IndexError(f"Position {end} is beyond the window of {self._limit}.")
        self.lengths[slot] = start

    def commit(self, slot: int, end: int) -> None:
        """Record that all layers have written the positions up to `end`."""
        self.lengths[slot] = end

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        """Make slot `target` hold the first `num_tokens` positions of slot `source`. Raise IndexError if they are
        missing there."""
        if num_tokens > self.lengths[source]:
            raise IndexError(f"Slot {source} holds {self.lengths[source]} positions, not {num_tokens}.")
        for array in self._by_slot:
            array[:, target] = array[:, source]
        self.lengths[target] = num_tokens

    def check_integrity(self) -> None:
        """Raise ValueError if a length is out of range or a scale is not a finite number."""
        for slot, length in enumerate(self.lengths):
            if not 0 <= length <= self._limit:
                raise ValueError(f"Slot {slot} claims {length} of {self._limit} positions.")
            if not all(np.isfinite(scales[:, slot]).all() for scales in (self._by_slot[1], self._by_slot[3])):
                raise ValueError(f"Slot {slot} holds a scale that is not a finite number.")


@compiled
def write_kv(cache, head, position, key, value):
    """Quantize and store the key and the value of one token and one head.

    cache       CacheArrays
    head        CachedHead
    position    int: the position of the token in its slot
    key, value  float32 [head.dims]
    """
    groups, block, lane, scales_start = head.dims // GROUP, position // LANES, position % LANES, head.start // GROUP
    for group in range(groups):
        numbers, at = key[group * GROUP : (group + 1) * GROUP], (block * groups + group) * LANES
        scale = largest_magnitude(numbers) / np.float32(127)
        cache.key_scales[scales_start + at + lane] = scale
        quants = cache.keys[head.start + at * GROUP : head.start + (at + LANES) * GROUP]
        for dim in range(GROUP):
            quants[dim // PAIR * PAIR * LANES + PAIR * lane + dim % PAIR] = np.int8(np.rint(numbers[dim] / scale))
        numbers = value[group * GROUP : (group + 1) * GROUP]
        scale = largest_magnitude(numbers) / np.float32(127)
        cache.value_scales[scales_start + group * head.window + position] = scale
        for dim in range(GROUP):
            at = ((group * GROUP + dim) // LANES * head.window + position // PAIR * PAIR) * LANES
            place = head.start + at + PAIR * (dim % LANES) + position % PAIR
            cache.values[place] = np.int8(np.rint(numbers[dim] / scale))
