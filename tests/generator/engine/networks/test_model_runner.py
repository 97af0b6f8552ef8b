"""Model runner: a forward can be interrupted anywhere, slots stay valid, and wrong networks are refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch

from generator.engine.networks.kv_cache import LayerShape
from generator.engine.networks.model_runner import ModelRunner, logits_agree, open_transformers_network
from generator.engine.networks.network import CachedNetwork
from generator.engine.networks.runner import DEFAULT_SLOTS, MAX_SLOTS, BatchItem, Interrupted, LoadFailed
from generator.engine.networks.torch_network import TorchNetwork
from generator.engine.networks.transformers_network import TransformersNetwork
from generator.wire.messages import Failed
from tests.generator.engine.engine_loop import MODEL, SteppedEngine
from tests.generator.engine.engine_process import a_set
from tests.generator.engine.networks.batches import at_check, never
from tests.generator.engine.tiny_models import copy_of, tiny_model, tiny_runner, tiny_vocabulary, tiny_weights

KINDS = ("gpt2", "llama", "torch gpt2", "torch llama", "int8 gpt2", "int8 llama")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", [1, 2])
def test_an_interrupted_forward_leaves_the_positions_before_it_valid(kind: str, layer: int) -> None:
    runner = tiny_runner(kind)
    prompt, obsolete, edited = list(range(10, 30)), list(range(40, 60)), list(range(70, 78))
    mate = list(range(100, 109))
    runner.forward([BatchItem(0, prompt, 0, False), BatchItem(1, mate[:-1], 0, False)], never)
    with pytest.raises(Interrupted):
        runner.forward([BatchItem(0, obsolete, 20, True), BatchItem(1, mate[-1:], 8, True)], at_check(layer))
    after = runner.forward([BatchItem(0, edited, 20, True), BatchItem(1, mate[-1:], 8, True)], never)
    fresh = tiny_runner(kind).forward([BatchItem(2, prompt + edited, 0, True), BatchItem(3, mate, 0, True)], never)
    assert np.abs(after - fresh).max() < 1e-4
    runner.check_integrity()


@pytest.mark.parametrize("kind", KINDS)
def test_a_copied_slot_continues_like_the_original(kind: str) -> None:
    runner = tiny_runner(kind)
    runner.forward([BatchItem(0, [5, 6, 7, 8], 0, False)], never)
    runner.copy_slot(0, 3, 3)
    both = runner.forward([BatchItem(0, [9], 3, True), BatchItem(3, [9], 3, True)], never)
    assert np.abs(both[0] - both[1]).max() < 1e-5
    runner.check_integrity()


def test_a_gap_in_a_slot_is_refused() -> None:
    runner = tiny_runner("gpt2")
    with pytest.raises(IndexError):
        runner.forward([BatchItem(0, [5], 3, True)], never)
    runner.forward([BatchItem(0, [5, 6, 7], 0, False)], never)
    with pytest.raises(IndexError):
        runner.copy_slot(0, 1, 4)
    with pytest.raises(IndexError):
        runner.forward([BatchItem(0, [5] * 46, 3, True)], never)


def test_an_edit_interrupts_its_own_long_prefill_but_never_twice_in_a_row() -> None:
    """The edit arrives while the forward runs, as it does from the reader thread."""
    engine = SteppedEngine(tiny_runner("gpt2", 96))
    runner = engine.model.runner
    forward, calls, num_interrupted = runner.forward, count(1), 0
    first = a_set("the river ran to the sea " * 3, model=MODEL, budget=8)
    edited = replace(first, epoch=2, pieces=(replace(first.pieces[0], text="the old house stood " * 4),))

    def forward_during_an_edit(items: list[BatchItem], should_stop: Callable[[], bool]) -> object:
        nonlocal num_interrupted
        if (call := next(calls)) <= 2:
            engine.send(replace(edited, epoch=call + 1))
        try:
            return forward(items, should_stop)
        except Interrupted:
            num_interrupted += 1
            raise

    runner.forward = forward_during_an_edit  # type: ignore[method-assign, assignment]
    engine.run(first)
    assert num_interrupted == 1
    scratch = SteppedEngine(tiny_runner("gpt2", 96))
    scratch.run(edited)
    assert engine.ids(epoch=3) == scratch.ids(epoch=2)
    assert not engine.ids(epoch=1)


def test_logits_that_are_not_numbers_fail_only_their_sequence() -> None:
    engine = SteppedEngine(tiny_runner("gpt2"))
    forward, steps = engine.model.runner.forward, count()

    def forward_with_broken_logits(items: list[BatchItem], should_stop: Callable[[], bool]) -> object:
        logits = forward(items, should_stop).copy()
        if next(steps) == 3:
            logits[0] = np.nan
        return logits

    engine.model.runner.forward = forward_with_broken_logits  # type: ignore[method-assign, assignment]
    engine.run(a_set("the", model=MODEL, budget=12), a_set("sea", model=MODEL, sequence="other", budget=12))
    failed = [event for event in engine.events if isinstance(event, Failed)]
    assert len(failed) == 1
    assert "not numbers" in failed[0].message
    unharmed = ({"s", "other"} - {failed[0].sequence}).pop()
    assert len(engine.ids(unharmed)) >= 9


def test_a_model_that_ignores_the_given_positions_is_refused() -> None:
    model = type(tiny_model("llama"))(copy.deepcopy(tiny_model("llama").config))
    model.load_state_dict(tiny_model("llama").state_dict())
    rotary = model.model.rotary_emb
    plain = rotary.forward
    rotary.forward = lambda x, position_ids: plain(x, torch.arange(x.shape[1])[None])
    with pytest.raises(LoadFailed, match="not supported"):
        open_transformers_network(model, 32)


def test_networks_with_other_weights_do_not_agree() -> None:
    reference = TransformersNetwork(copy_of(tiny_model("llama")))
    weights = tiny_weights("llama", 32)
    assert logits_agree(TorchNetwork(weights), reference, 300, 32)
    weights.layers[1].down.weight[0] += 0.1
    assert not logits_agree(TorchNetwork(weights), reference, 300, 32)


class LargePositions(CachedNetwork):
    """A network of which only the size matters."""

    def __init__(self, allocates_lazily: bool, position_bytes: int) -> None:
        super().__init__([LayerShape(1, 1)], torch.float32, torch.device("cpu"))
        self.allocates_lazily, self._claimed = allocates_lazily, position_bytes

    @property
    def position_bytes(self) -> int:
        return self._claimed

    def logits(self, items: object, slots: object, should_stop: object) -> torch.Tensor:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("allocates_lazily", "position_bytes", "expected"),
    [(False, 8, DEFAULT_SLOTS), (True, 8, MAX_SLOTS), (True, 2**24, 6), (False, 2**24, 6), (False, 2**29, 2)],
)
def test_the_number_of_slots_is_limited_by_their_memory(
    allocates_lazily: bool, position_bytes: int, expected: int
) -> None:
    network = LargePositions(allocates_lazily, position_bytes)
    runner = ModelRunner(network, tiny_vocabulary(), 16, "fp32")
    assert runner.num_slots == expected
    assert runner.slot_bytes == 16 * 8
