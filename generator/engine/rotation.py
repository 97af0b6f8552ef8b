"""Rotation: the same model in other coordinates, in which eight bits are enough.

A few channels of a language model are far larger than the others, and a scale that must reach them leaves little for
the rest. Multiplied by a random orthogonal matrix all channels are alike. Every rotation is undone by the weights
of the next layer, so that the model computes the same; only that before `down`, behind a function that works on single
channels, costs a small multiplication when running. Owns the matrices. Knows nothing of number formats.
"""

from __future__ import annotations

import torch

from generator.engine.forward import Forward
from generator.engine.linear import Linear

_SEED = 20
_LARGEST_BLOCK = 128


def rotate(forward: Forward) -> None:
    """Change all weights of the forward in place."""
    generator = torch.Generator().manual_seed(_SEED)
    stream = mean_keeping(forward.head.weight.shape[1], generator)
    heads = orthogonal(forward.head_dim, generator)
    forward.stream = stream
    for layer in forward.layers:
        _rotate_inputs(layer.qkv, stream)
        _rotate_values(forward, layer.qkv, heads)
        _rotate_inputs(layer.output, heads)
        _rotate_outputs(layer.output, stream)
        _rotate_inputs(layer.up, stream)
        layer.down.turn = orthogonal(_block_size(layer.down.weight.shape[1]), generator)
        _rotate_inputs(layer.down, layer.down.turn)
        _rotate_outputs(layer.down, stream)
    _rotate_inputs(forward.head, stream)


def orthogonal(size: int, generator: torch.Generator) -> torch.Tensor:
    basis: torch.Tensor = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    return basis.float()


def mean_keeping(size: int, generator: torch.Generator) -> torch.Tensor:
    """Orthogonal, and keeps every vector's mean: layer norm subtracts it before and after alike."""
    basis: torch.Tensor = torch.randn(size, size, generator=generator, dtype=torch.float64)
    basis[:, 0] = 1
    basis = torch.linalg.qr(basis)[0]
    inner = torch.eye(size, dtype=torch.float64)
    inner[1:, 1:] = orthogonal(size - 1, generator)
    result: torch.Tensor = (basis @ inner @ basis.t()).float()
    return result


def _rotate_inputs(linear: Linear, block: torch.Tensor) -> None:
    """Blocks of inputs come multiplied by `block`."""
    linear.weight = (linear.weight.view(-1, len(block)) @ block).view(linear.weight.shape)


def _rotate_outputs(linear: Linear, matrix: torch.Tensor) -> None:
    linear.weight = matrix.t() @ linear.weight
    linear.bias = None if linear.bias is None else linear.bias @ matrix


def _rotate_values(forward: Forward, qkv: Linear, matrix: torch.Tensor) -> None:
    begin = (forward.num_heads + forward.num_kv_heads) * forward.head_dim
    weight = qkv.weight[begin:].view(-1, len(matrix), qkv.weight.shape[1])
    qkv.weight[begin:] = (matrix.t() @ weight).flatten(0, 1)
    if qkv.bias is not None:
        qkv.bias[begin:] = (qkv.bias[begin:].view(-1, len(matrix)) @ matrix).flatten()


def _block_size(width: int) -> int:
    return max(size for size in range(1, _LARGEST_BLOCK + 1) if width % size == 0)
