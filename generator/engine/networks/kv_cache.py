"""KV cache: keys and values of every sequence, in slots that are allocated once and written in place.

Owns the tensors and which positions of a slot hold something. Knows nothing of tokens or of who holds a slot.
"""

from __future__ import annotations

from collections.abc import Sequence as AnySequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class LayerShape:
    num_heads: int
    head_dim: int

    def position_bytes(self, dtype: torch.dtype) -> int:
        return 2 * self.num_heads * self.head_dim * dtype.itemsize


class KVCache:
    """Of each layer, keys and values are `[slots, heads, window, head_dim]`; `lengths[slot]` positions hold."""

    def __init__(
        self, layers: AnySequence[LayerShape], num_slots: int, window: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        def allocate(shape: LayerShape) -> torch.Tensor:
            return torch.zeros(2, num_slots, shape.num_heads, window, shape.head_dim, dtype=dtype, device=device)

        self._layers = [allocate(shape) for shape in layers]
        self._keys = [layer[0] for layer in self._layers]
        self._values = [layer[1] for layer in self._layers]
        # Every key and every value as one line `[head_dim]` of its layer, for `scatter`.
        self._lines = [layer.view(-1, layer.shape[-1]) for layer in self._layers]
        self.dtype, self.device = dtype, device
        self._window = window
        self.lengths = [0] * num_slots

    def begin(self, slot: int, start: int, end: int) -> None:
        """What stands from `start` on is about to be replaced, up to `end`. Raises IndexError if there is a hole
        before it or no room for it."""
        if not 0 <= start <= self.lengths[slot]:
            raise IndexError(f"slot {slot} holds {self.lengths[slot]} positions, none can be written at {start}")
        if end > self._window:
            raise IndexError(f"position {end} is beyond the window of {self._window}")
        self.lengths[slot] = start

    def write(self, layer: int, slot: int, start: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Store `[heads, tokens, head_dim]` at positions `start` and on. May be repeated."""
        end = start + keys.shape[1]
        self._keys[layer][slot, :, start:end] = keys
        self._values[layer][slot, :, start:end] = values

    def read(self, layer: int, slot: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Views `[1, heads, end, head_dim]` of the first `end` positions."""
        return self._keys[layer][slot, None, :, :end], self._values[layer][slot, None, :, :end]

    def read_slots(self, layer: int, first: int, count: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Views `[count, heads, end, head_dim]` of the first `end` positions of neighbouring slots."""
        slots = slice(first, first + count)
        return self._keys[layer][slots, :, :end], self._values[layer][slots, :, :end]

    def lines_of(self, slots: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Where `scatter` puts the keys and values of tokens: `[tokens * 2 * heads]`. All layers are shaped alike."""
        _, num_slots, num_heads, window, _ = self._layers[0].shape
        first = slots * (num_heads * window) + positions
        heads = torch.arange(num_heads, device=self.device) * window
        both = torch.cat((heads, heads + num_slots * num_heads * window))
        return (first[:, None] + both).flatten()

    def scatter(self, layer: int, lines: torch.Tensor, keys_and_values: torch.Tensor) -> None:
        """Store `[tokens, 2 * heads, head_dim]`, a token's keys before its values, at `lines_of` the tokens."""
        self._lines[layer].index_copy_(0, lines, keys_and_values.reshape(len(lines), -1))

    def commit(self, slot: int, end: int) -> None:
        """All layers have written up to `end`."""
        self.lengths[slot] = end

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        if num_tokens > self.lengths[source]:
            raise IndexError(f"slot {source} holds {self.lengths[source]} positions, not {num_tokens}")
        for tensor in (*self._keys, *self._values):
            tensor[target, :, :num_tokens] = tensor[source, :, :num_tokens]
        self.lengths[target] = num_tokens

    def check_integrity(self) -> None:
        """Raises ValueError if a position that should hold something cannot: out of range, or not a number."""
        for slot, length in enumerate(self.lengths):
            if not 0 <= length <= self._window:
                raise ValueError(f"slot {slot} claims {length} of {self._window} positions")
            for tensor in (*self._keys, *self._values):
                if not torch.isfinite(tensor[slot, :, :length]).all():
                    raise ValueError(f"slot {slot} holds something that is not a number")
