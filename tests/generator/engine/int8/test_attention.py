"""Attention over the 8-bit KV cache, against numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.int8.attention import QueryTokens, attend, new_attention_scratch, set_query
from generator.engine.int8.kv_cache import CachedHead, Int8KVCache, write_kv
from tests.generator.engine.int8.quantized_arrays import floats, rounded_to_8_bits


@settings(max_examples=40, deadline=None)
@given(
    past=st.integers(0, 40),
    count=st.integers(1, 8),
    group=st.integers(1, 3),
    dims=st.sampled_from([32, 64, 96]),
    seed=st.integers(0, 9999),
)
def test_attention_is_the_mean_of_the_seen_values_weighted_by_softmax(
    past: int, count: int, group: int, dims: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    slots = Int8KVCache(1, 2, 2, dims, 50)
    head = CachedHead(3 * dims * 64, slots.window, dims)
    # Leftovers at invisible positions and in the scratch arrays must not matter.
    for scales in (slots.arrays.key_scales, slots.arrays.value_scales):
        scales.fill(np.nan)
    for quants in (slots.arrays.keys, slots.arrays.values):
        quants.fill(99)
    keys, values = floats(random, past + count, dims), floats(random, past + count, dims)
    for position in range(past + count):
        write_kv(slots.arrays, head, position, keys[position], values[position])
    keys, values = rounded_to_8_bits(keys), rounded_to_8_bits(values)
    queries = floats(random, count * group, dims)
    scratch = new_attention_scratch(2, count * group, dims, slots.window)
    scratch.weights.fill(9999)
    for numbers in (scratch.scores, scratch.denominators, scratch.outputs):
        numbers.fill(np.nan)
    for row, query in enumerate(queries):
        set_query(scratch, 1, row, query * np.float32(np.sqrt(dims)))
    attend(slots.arrays, head, QueryTokens(past, count, group), scratch, 1)
    out = scratch.outputs[1].reshape(-1, dims)
    for row, query in enumerate(queries):
        seen = past + row // group + 1
        weights = np.exp(keys[:seen] @ query - (keys[:seen] @ query).max())
        expected = weights @ values[:seen] / weights.sum()
        # The kernel may round a number half way between two quants the other way. This is the only difference.
        assert np.abs(out[row] - expected).max() < 0.05
