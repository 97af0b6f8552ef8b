"""Weights: the arrays that hold all weights of a model, and the sizes and offsets of its parts.

Knows nothing of how the arrays are filled or used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from generator.engine.int8.matmul import Bytes, Floats

Ints = npt.NDArray[np.int64]


class EightBitMatmuls(NamedTuple):
    """The matmuls whose activations have 8 bits. The other matmuls have activations of 16 bits."""

    qkv: bool = False
    output: bool = False
    up: bool = False
    down: bool = False
    head: bool = False


class Shape(NamedTuple):
    """The sizes of a model and of its KV cache.

    `up_outputs` is the number of outputs of the first MLP matrix, including the gates of a gated MLP. `mlp_size` is the
    number of inputs of the second one. `epsilon` belongs to the norms. `num_slots` and `window` belong to the KV
    cache of one step.
    """

    hidden_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    up_outputs: int
    mlp_size: int
    epsilon: float
    num_slots: int
    window: int
    eight_bit: EightBitMatmuls


class LayerOffsets(NamedTuple):
    """One row of `Weights.offsets`: where each part of a layer begins, or -1 for a part that the layer does not have.

    A matrix begins in `Weights.quants`, a norm or a bias in `Weights.vectors`. The offset of a part's bias follows that
    of the part.
    """

    attention_norm: int
    attention_norm_bias: int
    qkv: int
    qkv_bias: int
    output: int
    output_bias: int
    mlp_norm: int
    mlp_norm_bias: int
    up: int
    up_bias: int
    down: int
    down_bias: int


class Weights(NamedTuple):
    """All weights of a model but the embedding.

    quants   int8, all packed matrices one after another
    scales   float32 [quants / 32]: the scales of the matrix that begins at `q` begin at `q / 32`
    vectors  float32, all norms and biases one after another
    offsets  int64 [layers + 1, 12], a row of LayerOffsets per layer; in the last row, `attention_norm` is the final
             norm and `qkv` the head
    cosines, sines  float32, flat [positions, head_dim / 2], or empty for a model without RoPE
    """

    quants: Bytes
    scales: Floats
    vectors: Floats
    offsets: Ints
    cosines: Floats
    sines: Floats
