"""Packing a model: every matrix and vector is at its offset, and formats change only the matrices they name."""

from __future__ import annotations

import numpy as np
import pytest

from generator.engine.int8.matmul import PAIR, QUAD, Floats, repack, unpack
from generator.engine.int8.pack_weights import can_pack, pack_model, repack_weights, shape_of
from generator.engine.int8.weights import EightBitMatmuls, LayerOffsets, Weights
from generator.engine.networks.model_weights import Affine, ModelWeights
from tests.generator.engine.tiny_models import tiny_weights

KINDS = ["int8 gpt2", "int8 llama"]


def parts_of(model: ModelWeights) -> list[tuple[int, str, Affine]]:
    """Return row, name and tensors of every part."""
    names = ("attention_norm", "qkv", "output", "mlp_norm", "up", "down")
    parts = [(row, name, getattr(layer, name)) for row, layer in enumerate(model.layers) for name in names]
    last = len(model.layers)
    return [*parts, (last, "attention_norm", model.norm), (last, "qkv", model.head)]


def matrix_at(weights: Weights, start: int, outputs: int, inputs: int) -> Floats:
    end = start + -(-outputs // 16) * 16 * inputs
    return unpack(weights.quants[start:end], weights.scales[start // 32 : end // 32], inputs)[:outputs]


@pytest.mark.parametrize("kind", KINDS)
def test_every_part_of_a_model_is_at_its_offset(kind: str) -> None:
    model = tiny_weights(kind, 48)
    weights = pack_model(model, 2)
    assert weights.offsets.shape == (len(model.layers) + 1, len(LayerOffsets._fields))
    for row, name, part in parts_of(model):
        offsets = LayerOffsets(*weights.offsets[row].tolist())
        for suffix, tensor in (("", part.weight), ("_bias", part.bias)):
            start = getattr(offsets, name + suffix)
            if tensor is None:
                assert start == -1
            elif tensor.dim() == 1:
                assert (weights.vectors[start : start + len(tensor)] == tensor.numpy()).all()
            else:
                exact = tensor.numpy()
                peaks = np.abs(exact.reshape(len(exact), -1, 32)).max(2)
                error = np.abs(matrix_at(weights, start, *exact.shape) - exact).reshape(len(exact), -1, 32).max(2)
                assert (error <= peaks / 112 / 2 * 1.001).all()


@pytest.mark.parametrize("kind", KINDS)
def test_rotations_are_kept_as_cosines_and_sines(kind: str) -> None:
    model = tiny_weights(kind, 48)
    weights = pack_model(model, 1)
    if model.rotations is None:
        assert weights.cosines.size == weights.sines.size == 0
    else:
        assert (weights.cosines + 1j * weights.sines == model.rotations.numpy().ravel()).all()
        assert weights.cosines.size == 48 * model.head_dim // 2


def test_the_shape_is_that_of_the_model() -> None:
    shape = shape_of(tiny_weights("int8 llama", 48))
    assert (shape.hidden_size, shape.num_heads, shape.num_kv_heads, shape.head_dim) == (192, 6, 2, 32)
    assert (shape.up_outputs, shape.mlp_size) == (192, 96)
    shape = shape_of(tiny_weights("int8 gpt2", 48))
    assert (shape.up_outputs, shape.mlp_size) == (256, 256)
    assert shape.eight_bit == EightBitMatmuls(False, False, False, False, False)


@pytest.mark.parametrize(("kind", "expected"), [("int8 gpt2", True), ("int8 llama", True), ("gpt2", False)])
def test_a_model_can_be_packed_if_its_sizes_are_multiples_of_32(kind: str, expected: bool) -> None:
    assert can_pack(tiny_weights(kind, 48)) is expected


@pytest.mark.parametrize("name", EightBitMatmuls._fields)
def test_a_change_of_format_repacks_the_named_matrices_and_no_other(name: str) -> None:
    model = tiny_weights("int8 llama", 48)
    weights = pack_model(model, 2)
    before, expected = weights.quants.copy(), weights.quants.copy()
    for row, part, tensors in parts_of(model):
        if (row, part) == (len(model.layers), "qkv") if name == "head" else part == name and row < len(model.layers):
            outputs, inputs = tensors.weight.shape
            start = int(getattr(LayerOffsets(*weights.offsets[row].tolist()), part))
            repack(expected[start : start + -(-outputs // 16) * 16 * inputs], PAIR, QUAD)
    changed = EightBitMatmuls()._replace(**{name: True})
    repack_weights(weights, EightBitMatmuls(), changed, 2)
    assert not (expected == before).all()
    assert (weights.quants == expected).all()
    repack_weights(weights, changed, EightBitMatmuls(), 2)
    assert (weights.quants == before).all()
