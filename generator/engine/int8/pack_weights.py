"""Layout: a model's weights in 8 bits, all in a few arrays, and where each of them lies.

Knows nothing of how they are computed with.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import numpy as np

from generator.engine.int8.matmul import PAIR, QUAD, Bytes, Floats, pack, padded, rearrange
from generator.engine.int8.simd import GROUP
from generator.engine.int8.weights import MatrixLocation, QuantizedMatrices, Shape, Weights
from generator.engine.networks.model_weights import Affine, LayerWeights, ModelWeights


def fits(model: ModelWeights) -> bool:
    """Whether all its parts are whole groups."""
    inner = model.layers[0].down.weight.shape[1]
    return all(size % GROUP == 0 for size in (model.head_dim, model.embedding.shape[1], inner))


def shape_of(model: ModelWeights) -> Shape:
    """But for the slots, which a step brings."""
    up, down = model.layers[0].up.weight, model.layers[0].down.weight
    return Shape(
        width=model.embedding.shape[1],
        heads=model.num_heads,
        kv_heads=model.num_kv_heads,
        head_dim=model.head_dim,
        up=up.shape[0],
        inner=down.shape[1],
        epsilon=model.epsilon,
        slots=0,
        window=0,
        in_8_bits=QuantizedMatrices(),
    )


def lay_out(model: ModelWeights, threads: int) -> Weights:
    """For rows of 16 bits. The last place is that of the last norm and the head, as if they were a layer's first norm
    and `qkv`."""
    tables = [[part for each in _parts(layer) for part in (each.weight, each.bias)] for layer in model.layers]
    last = [model.norm.weight, model.norm.bias, model.head.weight, model.head.bias]
    tables.append(last + [None] * (len(MatrixLocation._fields) - len(last)))
    places: list[list[int]] = []
    matrices: list[tuple[Floats, int]] = []
    vectors: list[Floats] = []
    steps_at = vectors_at = 0
    for table in tables:
        place = []
        for tensor in table:
            if tensor is None:
                place.append(-1)
            elif tensor.dim() == 1:
                place.append(vectors_at)
                vectors.append(tensor.numpy())
                vectors_at += len(tensor)
            else:
                place.append(steps_at)
                matrices.append((tensor.numpy(), steps_at))
                steps_at += padded(tensor.shape[0]) * tensor.shape[1]
        places.append(place)
    steps, scales = np.zeros(steps_at, np.int8), np.zeros(steps_at // GROUP, np.float32)
    # Not by the team: other models go on writing meanwhile.
    with ThreadPoolExecutor(threads) as packers:
        for _ in packers.map(lambda matrix: _pack(matrix[0], matrix[1], steps, scales), matrices):
            pass
    cosines, sines = _angles(model)
    return Weights(steps, scales, np.concatenate(vectors), np.array(places), cosines, sines)


def make_ready(weights: Weights, before: QuantizedMatrices, after: QuantizedMatrices, threads: int) -> None:
    """The products' weights for rows that have 8 bits as `after` says, where they were as `before` says."""
    changed = []
    for begin, end, product in _spans(weights):
        was, becomes = (QUAD if getattr(which, product) else PAIR for which in (before, after))
        if was != becomes:
            changed.append((weights.steps[begin:end], was, becomes))
    with ThreadPoolExecutor(threads) as packers:
        for _ in packers.map(lambda change: rearrange(*change), changed):
            pass


def _spans(weights: Weights) -> Iterator[tuple[int, int, str]]:
    """Where the weight of each product begins and ends."""
    begins = [
        (getattr(MatrixLocation(*place), product), product)
        for place in weights.places[:-1].tolist()
        for product in QuantizedMatrices._fields[:-1]
    ]
    begins.append((MatrixLocation(*weights.places[-1].tolist()).qkv, "head"))
    for (begin, product), (end, _) in pairwise([*begins, (len(weights.steps), "")]):
        yield begin, end, product


def _parts(layer: LayerWeights) -> tuple[Affine, ...]:
    """In the order of `MatrixLocation`."""
    return layer.attention_norm, layer.qkv, layer.output, layer.mlp_norm, layer.up, layer.down


def _pack(weight: Floats, begin: int, steps: Bytes, scales: Floats) -> None:
    end = begin + padded(weight.shape[0]) * weight.shape[1]
    pack(np.ascontiguousarray(weight), steps[begin:end], scales[begin // GROUP : end // GROUP])


def _angles(model: ModelWeights) -> tuple[Floats, Floats]:
    if model.rotations is None:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    return model.rotations.real.flatten().numpy(), model.rotations.imag.flatten().numpy()
