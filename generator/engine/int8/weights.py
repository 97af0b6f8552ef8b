"""Weights: all of a model's in a few arrays, and what sizes and places its parts have.

Knows nothing of how they get there or of how they are computed with.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from generator.engine.int8.matmul import Bytes, Floats

Whole = npt.NDArray[np.int64]


class QuantizedMatrices(NamedTuple):
    """Which products have rows of 8 bits, not 16."""

    qkv: bool = False
    output: bool = False
    up: bool = False
    down: bool = False
    head: bool = False


class Shape(NamedTuple):
    """`up` counts the gates too, if there are any; `inner` doesn't."""

    width: int
    heads: int
    kv_heads: int
    head_dim: int
    up: int
    inner: int
    epsilon: float
    slots: int
    window: int
    in_8_bits: QuantizedMatrices


class MatrixLocation(NamedTuple):
    """Where in `Weights` the parts of a layer begin; -1 where it has none. Biases are beside their weights."""

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
    """Packed ones as `steps` and `scales`, those of norms and biases as `vectors`. `places` by layer. `cosines` and
    `sines` are `[positions, head_dim / 2]`, or empty where queries and keys are not turned."""

    steps: Bytes
    scales: Floats
    vectors: Floats
    places: Whole
    cosines: Floats
    sines: Floats
