"""One packed forward: interrupted anywhere, holding what it should, refusing models it would compute wrongly."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from transformers import BloomConfig, BloomForCausalLM

from generator.engine.networks.model_runner import open_model
from generator.engine.networks.runner import BatchItem, Interrupted, LoadFailed
from generator.wire.messages import Failed
from tests.generator.engine.engine_loop import MODEL, SteppedEngine
from tests.generator.engine.engine_process import a_set
from tests.generator.engine.tiny_models import tiny_model, tiny_runner

NETWORKS = ("gpt2", "llama", "packed gpt2", "packed llama", "int8 gpt2", "int8 llama")


def never() -> bool:
    return False


def at_check(number: int) -> Callable[[], bool]:
    """Says stop when asked for the `number`th time."""
    asked = count(1)
    return lambda: next(asked) >= number


@pytest.mark.parametrize("family", NETWORKS)
@pytest.mark.parametrize("layer", [1, 2])
def test_an_interrupted_forward_leaves_what_was_computed_before(family: str, layer: int) -> None:
    runner = tiny_runner(family)
    prompt, obsolete, edited = list(range(10, 30)), list(range(40, 60)), list(range(70, 78))
    mate = list(range(100, 109))
    runner.forward([BatchItem(0, prompt, 0, False), BatchItem(1, mate[:-1], 0, False)], never)
    with pytest.raises(Interrupted):
        runner.forward([BatchItem(0, obsolete, 20, True), BatchItem(1, mate[-1:], 8, True)], at_check(layer))
    after = runner.forward([BatchItem(0, edited, 20, True), BatchItem(1, mate[-1:], 8, True)], never)
    fresh = tiny_runner(family).forward([BatchItem(2, prompt + edited, 0, True), BatchItem(3, mate, 0, True)], never)
    assert np.abs(after - fresh).max() < 1e-4
    runner.check_integrity()


@pytest.mark.parametrize("family", NETWORKS)
def test_a_copied_slot_goes_on_like_the_original(family: str) -> None:
    runner = tiny_runner(family)
    runner.forward([BatchItem(0, [5, 6, 7, 8], 0, False)], never)
    runner.copy_slot(0, 3, 3)
    both = runner.forward([BatchItem(0, [9], 3, True), BatchItem(3, [9], 3, True)], never)
    assert np.abs(both[0] - both[1]).max() < 1e-5
    runner.check_integrity()


def test_a_hole_in_a_slot_is_refused() -> None:
    runner = tiny_runner("gpt2")
    with pytest.raises(IndexError):
        runner.forward([BatchItem(0, [5], 3, True)], never)
    runner.forward([BatchItem(0, [5, 6, 7], 0, False)], never)
    with pytest.raises(IndexError):
        runner.copy_slot(0, 1, 4)
    with pytest.raises(IndexError):
        runner.forward([BatchItem(0, [5] * 46, 3, True)], never)


def test_an_edit_stops_its_own_long_prefill_but_never_twice_in_a_row() -> None:
    """The edit arrives while the forward runs, as it does from the reader thread."""
    engine = SteppedEngine(tiny_runner("gpt2", 96))
    runner = engine.model.runner
    forward, calls, num_interrupted = runner.forward, count(1), 0
    first = a_set("the river ran to the sea " * 3, model=MODEL, budget=8)
    edited = replace(first, epoch=2, pieces=(replace(first.pieces[0], text="the old house stood " * 4),))

    def forward_during_an_edit(rows: list[BatchItem], should_stop: Callable[[], bool]) -> object:
        nonlocal num_interrupted
        if (call := next(calls)) <= 2:
            engine.send(replace(edited, epoch=call + 1))
        try:
            return forward(rows, should_stop)
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

    def forward_with_a_broken_row(rows: list[BatchItem], should_stop: Callable[[], bool]) -> object:
        logits = forward(rows, should_stop).copy()
        if next(steps) == 3:
            logits[0] = np.nan
        return logits

    engine.model.runner.forward = forward_with_a_broken_row  # type: ignore[method-assign, assignment]
    engine.run(a_set("the", model=MODEL, budget=12), a_set("sea", model=MODEL, sequence="other", budget=12))
    failed = [event for event in engine.events if isinstance(event, Failed)]
    assert len(failed) == 1
    assert failed[0].code == "engine"
    unharmed = ({"s", "other"} - {failed[0].sequence}).pop()
    assert len(engine.ids(unharmed)) >= 9


def test_an_architecture_that_computes_otherwise_is_refused() -> None:
    """Bloom adds a bias to attention that the interface does not carry."""
    torch.manual_seed(0)
    config = BloomConfig(vocab_size=300, hidden_size=32, n_layer=2, n_head=4, bos_token_id=0, eos_token_id=0)
    with pytest.raises((LoadFailed, ValueError)):
        open_model(BloomForCausalLM(config), 32)


def test_a_position_scheme_that_goes_missing_is_noticed() -> None:
    model = type(tiny_model("llama"))(copy.deepcopy(tiny_model("llama").config))
    model.load_state_dict(tiny_model("llama").state_dict())
    rotary = model.model.rotary_emb
    plain = rotary.forward
    # As a model would that derives positions itself instead of taking those it is given.
    rotary.forward = lambda x, position_ids: plain(x, torch.arange(x.shape[1])[None])
    with pytest.raises(LoadFailed, match="not supported"):
        open_model(model, 32)
