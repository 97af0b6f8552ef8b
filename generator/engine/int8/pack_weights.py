"""Packing: a model's weights in 8 bits, all in a few arrays, and the offset of each part.

Knows nothing of how the weights are multiplied.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np
import torch

from generator.engine.int8.matmul import PAIR, QUAD, Bytes, Floats, pack, padded, repack
from generator.engine.int8.simd import GROUP
from generator.engine.int8.weights import EightBitMatmuls, LayerOffsets, Shape, Weights
from generator.engine.networks.model_weights import Affine, LayerWeights, ModelWeights


def can_pack(model: ModelWeights) -> bool:
    """Whether the sizes of all parts of a model are multiples of `GROUP`."""
    mlp_size = model.layers[0].down.weight.shape[1]
    return all(size % GROUP == 0 for size in (model.head_dim, model.embedding.shape[1], mlp_size))


def shape_of(model: ModelWeights) -> Shape:
    """Return the sizes of a model. Each step replaces `num_slots` and `window` by the sizes of its KV cache."""
    up, down = model.layers[0].up.weight, model.layers[0].down.weight
    return Shape(
        hidden_size=model.embedding.shape[1],
        num_heads=model.num_heads,
        num_kv_heads=model.num_kv_heads,
        head_dim=model.head_dim,
        up_outputs=up.shape[0],
        mlp_size=down.shape[1],
        epsilon=model.epsilon,
        num_slots=0,
        window=0,
        eight_bit=EightBitMatmuls(),
    )


def pack_model(model: ModelWeights, threads: int) -> Weights:
    """Quantize and pack all weights of a model but its embedding, for activations of 16 bits."""
    offsets: list[list[int]] = []
    matrices: list[tuple[Floats, int]] = []
    vectors: list[Floats] = []
    quants_size = vectors_size = 0
    for row in _tensors_by_layer(model):
        row_offsets = []
        for tensor in row:
            if tensor is None:
                row_offsets.append(-1)
            elif tensor.dim() == 1:
                row_offsets.append(vectors_size)
                vectors.append(tensor.numpy())
                vectors_size += len(tensor)
            else:
                row_offsets.append(quants_size)
                matrices.append((tensor.numpy(), quants_size))
                quants_size += padded(tensor.shape[0]) * tensor.shape[1]
        offsets.append(row_offsets)
    quants, scales = np.zeros(quants_size, np.int8), np.zeros(quants_size // GROUP, np.float32)
    # Not in the shared thread pool: other models go on computing in it meanwhile.
    with ThreadPoolExecutor(threads) as executor:
        for _ in executor.map(lambda matrix: _pack_matrix(matrix[0], matrix[1], quants, scales), matrices):
            pass
    cosines, sines = _rope_tables(model)
    return Weights(quants, scales, np.concatenate(vectors), np.array(offsets), cosines, sines)


def _tensors_by_layer(model: ModelWeights) -> list[list[torch.Tensor | None]]:
    """Return the tensors of each row of `Weights.offsets`, in the order of `LayerOffsets`."""
    rows = [[part for each in _parts(layer) for part in (each.weight, each.bias)] for layer in model.layers]
    last = [model.norm.weight, model.norm.bias, model.head.weight, model.head.bias]
    return [*rows, last + [None] * (len(LayerOffsets._fields) - len(last))]


def _parts(layer: LayerWeights) -> tuple[Affine, ...]:
    return layer.attention_norm, layer.qkv, layer.output, layer.mlp_norm, layer.up, layer.down


def repack_weights(weights: Weights, before: EightBitMatmuls, after: EightBitMatmuls, threads: int) -> None:
    """Repack, in place, the matrix of each matmul whose activations change between 8 and 16 bits."""
    changes = []
    for begin, end, name in _matrix_spans(weights):
        old, new = (QUAD if getattr(eight_bit, name) else PAIR for eight_bit in (before, after))
        if old != new:
            changes.append((weights.quants[begin:end], old, new))
    with ThreadPoolExecutor(threads) as executor:
        for _ in executor.map(lambda change: repack(*change), changes):
            pass


def _matrix_spans(weights: Weights) -> Iterator[tuple[int, int, str]]:
    """Yield where each matrix begins and ends in `weights.quants`, and the name of its matmul."""
    begins = [
        (getattr(LayerOffsets(*row), name), name)
        for row in weights.offsets[:-1].tolist()
        for name in EightBitMatmuls._fields[:-1]
    ]
    begins.append((LayerOffsets(*weights.offsets[-1].tolist()).qkv, "head"))
    for (begin, name), (end, _) in pairwise([*begins, (len(weights.quants), "")]):
        yield begin, end, name


def _pack_matrix(weight: Floats, begin: int, quants: Bytes, scales: Floats) -> None:
    end = begin + padded(weight.shape[0]) * weight.shape[1]
    pack(np.ascontiguousarray(weight), quants[begin:end], scales[begin // GROUP : end // GROUP])


def _rope_tables(model: ModelWeights) -> tuple[Floats, Floats]:
    """Return the cosines and sines of all positions, flat `[positions, head_dim / 2]`; empty without RoPE."""
    if model.rotations is None:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    return model.rotations.real.flatten().numpy(), model.rotations.imag.flatten().numpy()
