"""KV cache: the layout of written keys and values, lengths, copies and the integrity check."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.int8.kv_cache import CachedHead, Int8KVCache, write_kv
from generator.engine.int8.matmul import unpack
from tests.generator.engine.int8.quantized_arrays import floats, rounded_to_8_bits

LAYERS, SLOTS, HEADS, DIMS, WINDOW = 2, 3, 2, 64, 40


def new_cache() -> Int8KVCache:
    return Int8KVCache(LAYERS, SLOTS, HEADS, DIMS, WINDOW)


def head_of(cache: Int8KVCache, layer: int, slot: int, head: int) -> CachedHead:
    return CachedHead(((layer * SLOTS + slot) * HEADS + head) * cache.window * DIMS, cache.window, DIMS)


def test_the_window_is_rounded_up_to_whole_groups() -> None:
    assert new_cache().window == 64


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(WINDOW)), which=st.integers(0, LAYERS * SLOTS * HEADS - 1), seed=st.integers(0, 99))
def test_keys_are_a_packed_matrix_by_position_and_values_one_by_dimension(
    order: list[int], which: int, seed: int
) -> None:
    cache, random = new_cache(), np.random.default_rng(seed)
    size = cache.window * DIMS
    head = CachedHead(which * size, cache.window, DIMS)
    keys, values = floats(random, WINDOW, DIMS), floats(random, WINDOW, DIMS)
    for position in order:
        write_kv(cache.arrays, head, position, keys[position], values[position])
    span, scales = slice(head.start, head.start + size), slice(head.start // 32, (head.start + size) // 32)
    kept = unpack(cache.arrays.keys[span], cache.arrays.key_scales[scales], DIMS)
    assert np.abs(kept[:WINDOW] - rounded_to_8_bits(keys)).max() < 0.05
    assert np.abs(kept[:WINDOW] - keys).max() <= np.abs(keys).max() / 127 * 0.51
    ones = np.ones(size // 32, np.float32)
    quants = unpack(cache.arrays.values[span], ones, cache.window)
    of_positions = cache.arrays.value_scales[scales].reshape(DIMS // 32, cache.window)
    kept = (quants.reshape(DIMS // 32, 32, cache.window) * of_positions[:, None]).reshape(DIMS, cache.window).T
    assert np.abs(kept[:WINDOW] - values).max() <= np.abs(values).max() / 127 * 0.51
    # Nothing is written outside the head.
    parts = (span, scales, span, scales)
    for others, part in zip([np.copy(array) for array in cache.arrays], parts, strict=True):
        others[part] = 0
        assert not others.any()


def test_a_slot_is_written_without_holes_and_within_its_window() -> None:
    cache = new_cache()
    cache.begin(1, 0, WINDOW)
    cache.commit(1, 30)
    assert cache.lengths == [0, 30, 0]
    cache.begin(1, 10, 12)
    assert cache.lengths == [0, 10, 0]
    for start, end in ((11, 12), (-1, 3), (10, WINDOW + 1)):
        with pytest.raises(IndexError):
            cache.begin(1, start, end)
    assert cache.lengths == [0, 10, 0]


def test_a_copied_slot_holds_the_same_and_no_more_than_its_source() -> None:
    cache, random = new_cache(), np.random.default_rng(1)
    for layer, head, position in np.ndindex(LAYERS, HEADS, 5):
        write_kv(cache.arrays, head_of(cache, layer, 0, head), position, floats(random, DIMS), floats(random, DIMS))
    cache.commit(0, 5)
    with pytest.raises(IndexError):
        cache.copy(0, 2, 6)
    cache.copy(0, 2, 4)
    assert cache.lengths == [5, 0, 4]
    for array in cache.arrays:
        source, other, target = array.reshape(LAYERS, SLOTS, -1).transpose(1, 0, 2)
        assert (target == source).all()
        assert source.any(axis=1).all()
        assert not other.any()


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("scales", ["key_scales", "value_scales"])
def test_the_integrity_check_finds_scales_that_are_not_finite(scales: str, wrong: float) -> None:
    cache = new_cache()
    cache.check_integrity()
    getattr(cache.arrays, scales)[-1] = wrong
    with pytest.raises(ValueError, match="Slot 2"):
        cache.check_integrity()


@pytest.mark.parametrize("length", [-1, WINDOW + 1])
def test_the_integrity_check_finds_lengths_outside_the_window(length: int) -> None:
    cache = new_cache()
    cache.lengths[1] = length
    with pytest.raises(ValueError, match="Slot 1"):
        cache.check_integrity()
