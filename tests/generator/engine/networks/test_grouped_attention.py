"""Grouped attention: the result equals plain attention for each sequence, and only similar lengths share a call."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.networks.grouped_attention import GroupedAttention
from generator.engine.networks.kv_cache import KVCache, LayerShape
from generator.engine.networks.runner import BatchItem, Interrupted
from tests.generator.engine.networks.batches import at_check, never

SLOTS, WINDOW, HEAD_DIM = 5, 300, 4
# For each slot in the batch: its valid positions, its tokens, and whether it wants logits.
ITEMS = st.dictionaries(
    st.integers(0, SLOTS - 1),
    st.tuples(st.sampled_from([0, 1, 5, 6, 200]), st.sampled_from([1, 1, 1, 2, 7]), st.booleans()),
    min_size=1,
)


def filled_cache(num_kv_heads: int) -> KVCache:
    cache = KVCache([LayerShape(num_kv_heads, HEAD_DIM)], SLOTS, WINDOW, torch.float32, torch.device("cpu"))
    generator = torch.Generator().manual_seed(3)
    for slot in range(SLOTS):
        keys, values = torch.randn(2, num_kv_heads, WINDOW, HEAD_DIM, generator=generator)
        cache.write(0, slot, 0, keys, values)
    return cache


def plain_attention(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Attend with one token's query `[heads, head_dim]` to `[kv_heads, positions, head_dim]`, head by head."""
    group = len(query) // len(keys)
    heads = []
    for number, head in enumerate(query):
        weights = torch.softmax(keys[number // group] @ head / math.sqrt(HEAD_DIM), 0)
        heads.append(weights @ values[number // group])
    return torch.cat(heads)


@given(ITEMS, st.sampled_from([(2, 2), (4, 2), (3, 1)]))
@settings(max_examples=60, deadline=None)
def test_each_token_attends_to_its_own_sequence_alone(
    chosen: dict[int, tuple[int, int, bool]], heads: tuple[int, int]
) -> None:
    num_heads, num_kv_heads = heads
    cache = filled_cache(num_kv_heads)
    items = [BatchItem(slot, [slot] * count, start, wants) for slot, (start, count, wants) in chosen.items()]
    step = GroupedAttention(cache, items, never, num_heads)
    qkv = torch.randn(len(step.token_ids), num_heads + 2 * num_kv_heads, HEAD_DIM, generator=torch.manual_seed(1))
    attended = step.attend(0, qkv)
    # The ids are the slots, so that `token_ids` tells where each token went.
    for place, (slot, position) in enumerate(zip(step.token_ids.tolist(), step.positions.tolist(), strict=True)):
        keys, values = (tensor[0] for tensor in cache.read(0, slot, position + 1))
        assert torch.equal(keys[:, position], qkv[place, num_heads : num_heads + num_kv_heads])
        assert torch.equal(values[:, position], qkv[place, num_heads + num_kv_heads :])
        expected = plain_attention(qkv[place, :num_heads], keys, values)
        assert torch.allclose(attended[place], expected, atol=1e-5)
    wanted = [(int(step.token_ids[place]), int(step.positions[place])) for place in step.wanted]
    assert wanted == [(item.slot, item.start + len(item.token_ids) - 1) for item in items if item.wants_logits]


@pytest.mark.parametrize(
    ("starts", "groups"),
    [
        ({0: 10, 1: 10, 2: 11}, 1),
        ({0: 10, 2: 10}, 2),  # Slot 1 is between them.
        ({0: 10, 1: 138}, 1),
        ({0: 10, 1: 139}, 2),
        ({0: 139, 1: 10}, 2),
        ({0: 10, 1: 10, 2: 75}, 2),  # Both earlier items would be padded.
    ],
)
def test_neighbours_share_a_call_if_the_padding_is_cheaper_than_another_call(
    starts: dict[int, int], groups: int
) -> None:
    items = [BatchItem(slot, [1], start, True) for slot, start in starts.items()]
    assert len(GroupedAttention(filled_cache(1), items, never, 1)._groups) == groups


def test_a_prefill_never_shares_a_call() -> None:
    items = [BatchItem(0, [1, 2], 0, True), BatchItem(1, [1, 2], 0, True), BatchItem(2, [1], 0, True)]
    assert len(GroupedAttention(filled_cache(1), items, never, 1)._groups) == 3


def test_attention_stops_before_it_writes() -> None:
    cache = filled_cache(1)
    before = cache.read(0, 0, WINDOW)[0].clone()
    step = GroupedAttention(cache, [BatchItem(0, [1], 0, True)], at_check(1), 1)
    with pytest.raises(Interrupted):
        step.attend(0, torch.ones(1, 3, HEAD_DIM))
    assert torch.equal(cache.read(0, 0, WINDOW)[0], before)
