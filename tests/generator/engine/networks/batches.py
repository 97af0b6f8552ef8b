"""Random batches for tests of networks, as a scheduler could ask for them over several steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count

import numpy as np
from hypothesis import strategies as st

from generator.engine.networks.runner import BatchItem

WINDOW, SLOTS = 48, 6
# For each step: the slots, and for each slot the number of tokens, the share of its valid positions that is kept, and
# whether the item wants logits.
STEPS = st.lists(
    st.dictionaries(
        st.integers(0, SLOTS - 1),
        st.tuples(st.sampled_from([1, 1, 1, 2, 9]), st.sampled_from([1.0, 1.0, 0.5]), st.booleans()),
        min_size=1,
    ),
    min_size=1,
    max_size=7,
)


def batches(steps: list[dict[int, tuple[int, float, bool]]], seed: int) -> Iterator[list[BatchItem]]:
    """Yield one batch per step, with random tokens."""
    random, lengths = np.random.default_rng(seed), [0] * SLOTS
    for step in steps:
        items = []
        for slot, (num_tokens, kept, wants_logits) in step.items():
            start = min(int(lengths[slot] * kept), WINDOW - num_tokens)
            items.append(BatchItem(slot, random.integers(0, 300, num_tokens).tolist(), start, wants_logits))
            lengths[slot] = start + num_tokens
        yield items


def never() -> bool:
    return False


def at_check(number: int) -> Callable[[], bool]:
    """Return a function that returns true from its `number`th call on."""
    calls = count(1)
    return lambda: next(calls) >= number
