"""KV cache: the keys and values of all sequences, in slots that are allocated once and written in place.

Owns the tensors and the number of valid positions of each slot. Knows nothing of tokens or of slot owners.
"""

from __future__ import annotations

from collections.abc import Sequence as AnySequence
from dataclasses import dataclass

import torch


@dataclass(frozen=True, slots=True)
class LayerShape:
    """The number of key heads of a layer and their width."""

    num_heads: int
    head_dim: int

    def position_bytes(self, dtype: torch.dtype) -> int:
        """Return the bytes of one position's keys and values."""
        return 2 * self.num_heads * self.head_dim * dtype.itemsize


class KVCache:
    """Slots in one tensor per layer: keys and values are `[slots, heads, window, head_dim]` each.

    The first `lengths[slot]` positions of a slot are valid.
    """

    def __init__(
        self, layers: AnySequence[LayerShape], num_slots: int, window: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        def allocate(shape: LayerShape) -> torch.Tensor:
            return torch.zeros(2, num_slots, shape.num_heads, window, shape.head_dim, dtype=dtype, device=device)

        self._layers = [allocate(shape) for shape in layers]
        self._keys = [layer[0] for layer in self._layers]
        self._values = [layer[1] for layer in self._layers]
        # A view of each layer in which every key and every value is a row `[head_dim]`, for `scatter`.
        self._rows = [layer.view(-1, layer.shape[-1]) for layer in self._layers]
        self.dtype, self.device = dtype, device
        self._window = window
        self.lengths = [0] * num_slots

    def begin(self, slot: int, start: int, end: int) -> None:
        """Invalidate the positions from `start` on, because a forward is about to write `[start, end)`.

        Raise IndexError if a position before `start` is invalid or if `end` is beyond the window.
        """
        if not 0 <= start <= self.lengths[slot]:
            raise IndexError(
                f"Slot {slot} has {self.lengths[slot]} valid positions; position {start} would leave a gap."
            )
        if end > self._window:
            raise IndexError(f"Position {end} is beyond the window of {self._window} positions.")
        self.lengths[slot] = start

    def write(self, layer: int, slot: int, start: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Store `[heads, tokens, head_dim]` from position `start` on. A second call overwrites the first."""
        end = start + keys.shape[1]
        self._keys[layer][slot, :, start:end] = keys
        self._values[layer][slot, :, start:end] = values

    def read(self, layer: int, slot: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return views `[1, heads, end, head_dim]` of the keys and values of the first `end` positions."""
        return self._keys[layer][slot, None, :, :end], self._values[layer][slot, None, :, :end]

    def read_slots(self, layer: int, first: int, count: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return views `[count, heads, end, head_dim]` of the first `end` positions of `count` neighbouring slots."""
        slots = slice(first, first + count)
        return self._keys[layer][slots, :, :end], self._values[layer][slots, :, :end]

    def row_indices(self, slots: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Return the rows `[tokens * 2 * heads]` that `scatter` writes for tokens at these slots and positions.

        The same rows serve every layer, so all layers must have the same shape.
        """
        _, num_slots, num_heads, window, _ = self._layers[0].shape
        first = slots * (num_heads * window) + positions
        heads = torch.arange(num_heads, device=self.device) * window
        both = torch.cat((heads, heads + num_slots * num_heads * window))
        return (first[:, None] + both).flatten()

    def scatter(self, layer: int, rows: torch.Tensor, keys_and_values: torch.Tensor) -> None:
        """Store `[tokens, 2 * heads, head_dim]` at the tokens' `row_indices`. A token's keys precede its values."""
        self._rows[layer].index_copy_(0, rows, keys_and_values.reshape(len(rows), -1))

    def commit(self, slot: int, end: int) -> None:
        """Mark the positions before `end` as valid. All layers have written them."""
        self.lengths[slot] = end

    def copy(self, source: int, target: int, num_tokens: int) -> None:
        """Copy the first `num_tokens` positions of slot `source` to slot `target`.

        Raise IndexError if `source` has fewer valid positions.
        """
        if num_tokens > self.lengths[source]:
            raise IndexError(f"Slot {source} has {self.lengths[source]} valid positions, not {num_tokens}.")
        for tensor in (*self._keys, *self._values):
            tensor[target, :, :num_tokens] = tensor[source, :, :num_tokens]
        self.lengths[target] = num_tokens

    def check_integrity(self) -> None:
        """Raise ValueError if a valid position is outside the window or holds a value that is not finite."""
        for slot, length in enumerate(self.lengths):
            if not 0 <= length <= self._window:
                raise ValueError(f"Slot {slot} claims {length} valid positions in a window of {self._window}.")
            for tensor in (*self._keys, *self._values):
                if not torch.isfinite(tensor[slot, :, :length]).all():
                    raise ValueError(f"Slot {slot} holds a value that is not a finite number.")
