"""Forward: the seam between one family's way of computing and what drives it.

Knows nothing of slots or number formats.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from typing import Protocol

import torch

from generator.engine.linear import Linear

# From a layer's number and its `[tokens, heads + 2 * kv_heads, head_dim]` (queries, keys, values) to
# `[tokens, heads * head_dim]`.
Attend = Callable[[int, torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Layer:
    """The linear layers of one layer; norms in between have no weights (those are part of `qkv` and `up`).

    `qkv` gives all queries, then keys, then values; `up` also gives the gates where the family has them."""

    qkv: Linear
    output: Linear
    up: Linear
    down: Linear


class Forward(Protocol):
    """`stream` is `[width, width]`, orthogonal: what embeddings are multiplied by before the first layer, or None."""

    num_heads: int
    num_kv_heads: int
    head_dim: int
    head: Linear
    stream: torch.Tensor | None

    @property
    def layers(self) -> AnySequence[Layer]: ...

    def hidden(self, token_ids: torch.Tensor, positions: torch.Tensor, attend: Attend) -> torch.Tensor:
        """All layers over `[tokens]`. Returns `[tokens, width]`."""
        ...

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """The end of it, for those tokens that want it. Returns `[tokens, vocabulary]`."""
        ...


def linears_of(forward: Forward) -> list[Linear]:
    inner = [linear for layer in forward.layers for linear in (layer.qkv, layer.output, layer.up, layer.down)]
    return [*inner, forward.head]
