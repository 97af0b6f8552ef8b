"""Forward: its phases, a step in several calls, wanted tokens only, and aborted steps."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from generator.engine.int8.forward import compute_logits, forward_layers, num_phases
from generator.engine.int8.network import Int8Network, _token_batch
from generator.engine.int8.thread_pool import abort
from generator.engine.networks.runner import BatchItem
from tests.generator.engine.tiny_models import tiny_weights

KINDS = ["int8 gpt2", "int8 llama"]
IDS = [5 * number % 300 for number in range(1, 21)]


def network(kind: str, threads: int = 2) -> Int8Network:
    return Int8Network(tiny_weights(kind, 48), threads)


def logits_of(network: Int8Network, wants_long: bool, checks: Counter[str]) -> torch.Tensor:
    """Compute a long and a short sequence. `checks` counts the calls of `should_stop`."""

    def should_stop() -> bool:
        checks["should_stop"] += 1
        return False

    items = [BatchItem(0, IDS, 0, wants_long), BatchItem(1, IDS[:3], 0, True)]
    return network.logits(items, network.new_slots(2, 48), should_stop)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_every_thread_passes_every_barrier_once(kind: str, threads: int) -> None:
    own = network(kind, threads)
    own.passage_logits(IDS)
    counters = own._scratch.counters
    assert len(counters) == 1 + num_phases(2)
    assert counters[0] == threads * num_phases(2)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_step_asks_before_each_layer_whether_to_stop(kind: str) -> None:
    own, checks = network(kind), Counter[str]()
    long = logits_of(own, True, checks)
    assert checks["should_stop"] == 2
    passage = own.passage_logits(IDS)
    assert torch.equal(long[0], passage[-1])


@pytest.mark.parametrize("kind", KINDS)
def test_the_logits_of_some_tokens_are_those_of_all_tokens(kind: str) -> None:
    own = network(kind)
    both, one = logits_of(own, True, Counter()), logits_of(own, False, Counter())
    assert one.shape == (1, 300)
    assert torch.equal(one[0], both[1])
    assert not torch.equal(both[0], both[1])


def test_an_aborted_step_computes_no_logits() -> None:
    own = network("int8 llama", 1)
    own.passage_logits(IDS)
    logits, hidden = np.full(304, 7, np.float32), own._scratch.hidden.copy()
    own._scratch.counters[:] = 0
    abort(own._scratch.counters)
    shape = own._shape._replace(num_slots=1, window=32)
    slots = own.new_slots(1, 20)
    batch = _token_batch([BatchItem(0, IDS, 0, True)], [19])
    forward_layers(shape, own._weights, slots.arrays, batch, own._scratch, 0, 2, 0, 1)
    compute_logits(shape, own._weights, own._scratch, logits, 304, 1, 1)
    assert (logits == 7).all()
    assert (own._scratch.hidden == hidden).all()
