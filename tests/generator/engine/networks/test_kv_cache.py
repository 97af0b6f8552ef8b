"""KV cache: slots hold the positions that were written last, scattering equals writing, and gaps are refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine.networks.kv_cache import KVCache, LayerShape

LAYERS, SLOTS, WINDOW = 2, 3, 8
SHAPE = LayerShape(2, 4)
# Operations: write from a share of the valid positions on, or copy a share of the valid positions to another slot.
WRITES = st.tuples(st.just("write"), st.integers(0, SLOTS - 1), st.floats(0, 1), st.integers(1, 4))
COPIES = st.tuples(st.just("copy"), st.integers(0, SLOTS - 1), st.floats(0, 1), st.integers(0, SLOTS - 1))


def new_cache() -> KVCache:
    return KVCache([SHAPE] * LAYERS, SLOTS, WINDOW, torch.float32, torch.device("cpu"))


def position(number: float) -> torch.Tensor:
    """Return distinct keys and values `[layers, 2, heads, head_dim]`."""
    count = LAYERS * 2 * SHAPE.num_heads * SHAPE.head_dim
    return (torch.arange(count) + 1000 * number).view(LAYERS, 2, SHAPE.num_heads, SHAPE.head_dim).float()


def store(cache: KVCache, slot: int, start: int, positions: torch.Tensor, scatters: bool) -> None:
    """Store `[tokens, layers, 2, heads, head_dim]` in one of the two ways."""
    end = start + len(positions)
    cache.begin(slot, start, end)
    for layer in range(LAYERS):
        if scatters:
            rows = cache.row_indices(torch.full((len(positions),), slot), torch.arange(start, end))
            cache.scatter(layer, rows, positions[:, layer].reshape(len(positions), -1, SHAPE.head_dim))
        else:
            keys, values = positions[:, layer].permute(1, 2, 0, 3)
            cache.write(layer, slot, start, keys, values)
    cache.commit(slot, end)


def held(cache: KVCache, slot: int) -> torch.Tensor:
    """Return the valid positions of a slot as `[tokens, layers, 2, heads, head_dim]`."""
    both = [torch.stack(cache.read(layer, slot, cache.lengths[slot])) for layer in range(LAYERS)]
    return torch.stack(both)[:, :, 0].permute(3, 0, 1, 2, 4)


@given(st.lists(WRITES | COPIES, max_size=20), st.booleans())
@settings(max_examples=100, deadline=None)
def test_slots_hold_the_positions_that_were_written_or_copied_last(
    operations: list[tuple[str, int, float, int]], scatters: bool
) -> None:
    cache = new_cache()
    expected: list[list[torch.Tensor]] = [[] for _ in range(SLOTS)]
    for number, (kind, slot, share, argument) in enumerate(operations):
        kept = int(len(expected[slot]) * share)
        if kind == "copy":
            cache.copy(slot, argument, kept)
            expected[argument] = expected[slot][:kept]
        else:
            written = [position(number + place / 10) for place in range(min(argument, WINDOW - kept))]
            if written:
                store(cache, slot, kept, torch.stack(written), scatters)
            expected[slot] = (expected[slot][:kept] + written) if written else expected[slot]
    assert cache.lengths == [len(positions) for positions in expected]
    for slot, positions in enumerate(expected):
        assert held(cache, slot).tolist() == [value.tolist() for value in positions]
    cache.check_integrity()


def test_neighbouring_slots_are_read_together() -> None:
    cache = new_cache()
    for slot in range(SLOTS):
        store(cache, slot, 0, torch.stack([position(slot), position(slot + 0.5)]), scatters=False)
    keys, values = cache.read_slots(1, 1, 2, 2)
    for place, slot in enumerate((1, 2)):
        single_keys, single_values = cache.read(1, slot, 2)
        assert torch.equal(keys[place], single_keys[0])
        assert torch.equal(values[place], single_values[0])


def test_gaps_and_positions_beyond_the_window_are_refused() -> None:
    cache = new_cache()
    store(cache, 0, 0, torch.stack([position(0)] * 3), scatters=False)
    for start, end in ((4, 5), (-1, 2), (3, WINDOW + 1)):
        with pytest.raises(IndexError):
            cache.begin(0, start, end)
        assert cache.lengths[0] == 3
    with pytest.raises(IndexError):
        cache.copy(0, 1, 4)


def test_an_abandoned_forward_leaves_the_positions_before_it_valid() -> None:
    cache = new_cache()
    store(cache, 0, 0, torch.stack([position(0)] * 3), scatters=False)
    cache.begin(0, 1, 4)
    assert cache.lengths[0] == 1
    with pytest.raises(IndexError):
        cache.begin(0, 2, 3)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_the_integrity_check_finds_broken_numbers_in_valid_positions_only(number: float) -> None:
    cache = new_cache()
    broken = torch.stack([position(0), position(1)])
    broken[1, 1, 1, 0, 0] = number
    store(cache, 2, 0, broken, scatters=True)
    with pytest.raises(ValueError, match="Slot 2"):
        cache.check_integrity()
    cache.lengths[2] = 1
    cache.check_integrity()
    cache.lengths[2] = WINDOW + 1
    with pytest.raises(ValueError, match="window"):
        cache.check_integrity()
