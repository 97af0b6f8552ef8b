"""CUDA graph cache: static steps give the logits of the transformers network. They run uncaptured on the CPU."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.engine.networks.cuda_graph_cache import CudaGraphCache, StaticStep
from generator.engine.networks.kv_cache import LayerShape
from generator.engine.networks.runner import BatchItem, Interrupted
from tests.generator.engine.networks.batches import SLOTS, STEPS, WINDOW, at_check, batches, never
from tests.generator.engine.tiny_models import tiny_runner

VOCABULARY = 4


class RecordingCache(CudaGraphCache):
    """Computes no attention: the logits of a token are its id, position, slot, and the step's length."""

    def __init__(self, window: int) -> None:
        self.computed: list[tuple[int, int]] = []
        super().__init__([LayerShape(1, 2)], 3, window, torch.float32, torch.device("cpu"), self._record, chunk=4)

    def _record(self, new_step: Callable[[], StaticStep]) -> Callable[[], torch.Tensor]:
        def compute() -> torch.Tensor:
            step = new_step()
            self.computed.append((step._length, step._chunk))
            slots = self._inputs[2, : len(step.token_ids)]
            lengths = torch.full_like(step.positions, step._length)
            return torch.stack([step.token_ids, step.positions, slots, lengths], 1)[step.wanted]

        return compute


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, seed=st.integers(0, 99))
def test_any_batches_give_the_logits_of_the_transformers_network(
    architecture: str, steps: list[dict[int, tuple[int, float, bool]]], seed: int
) -> None:
    general, static = (tiny_runner(kind, WINDOW, SLOTS) for kind in (architecture, f"cuda-graph {architecture}"))
    for items in batches(steps, seed):
        expected, computed = (runner.forward(items, never) for runner in (general, static))
        assert computed.shape == expected.shape
        assert np.abs(computed - expected).max(initial=0) < 1e-4
    static.check_integrity()


def test_a_step_attends_to_the_shortest_length_that_reaches_all_its_items() -> None:
    cache = RecordingCache(600)
    for start, length in ((0, 128), (127, 128), (128, 256), (511, 512), (512, 600)):
        logits = cache.compute([BatchItem(0, [5], 0, False), BatchItem(1, [7], start, True)], never)
        assert logits.tolist() == [[7, start, 1, length]]
    assert [length for length, _ in cache.computed] == [128, 128, 256, 512, 600]


def test_long_items_are_computed_in_chunks_beside_the_single_tokens() -> None:
    cache = RecordingCache(64)
    items = [BatchItem(0, list(range(10, 20)), 3, True), BatchItem(2, [7], 5, True), BatchItem(1, [8, 9], 0, True)]
    logits = cache.compute(items, never)
    assert logits[:, :3].tolist() == [[19, 12, 0], [7, 5, 2], [9, 1, 1]]
    assert cache.computed == [(64, 4)] * 4


def test_items_that_want_no_logits_give_none() -> None:
    cache = RecordingCache(64)
    assert cache.compute([BatchItem(0, list(range(9)), 0, False)], never).shape == (0, VOCABULARY)
    assert len(cache.computed) == 3


@pytest.mark.parametrize("check", [1, 2, 3])
def test_a_batch_is_interrupted_before_any_of_its_steps(check: int) -> None:
    cache = RecordingCache(64)
    with pytest.raises(Interrupted):
        cache.compute([BatchItem(0, list(range(12)), 0, True)], at_check(check))
    assert len(cache.computed) == check - 1
