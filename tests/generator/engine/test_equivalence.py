"""Equivalence: with reuse, batching, interruptions and rolls, a model writes the same tokens as from scratch."""

from __future__ import annotations

import copy
from dataclasses import replace
from functools import cache

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from generator.engine.networks.fake import FakeRunner
from generator.engine.networks.runner import Runner
from generator.engine.tokens.window import stagger
from generator.wire.messages import Budget, Piece, Premise, Set
from generator.wire.sampling_params import SamplingParams
from tests.generator.engine.engine_loop import MODEL, Oracle, SteppedEngine, written_piece
from tests.generator.engine.engine_process import GREEDY, a_set
from tests.generator.engine.tiny_models import tiny_model, tiny_runner, tiny_vocabulary

NETWORKS = ("gpt2", "llama", "torch gpt2", "torch llama")
FAMILIES = ("fake", *NETWORKS)
SAMPLED = SamplingParams(temperature=1.0, top_p=0.95, min_p=0.01, repetition_penalty=1.2, seed=11)
WINDOW = 48
TEXTS = st.text("abc the\nriverñ🌊", max_size=60)
few = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def runner_of(family: str, window: int = WINDOW) -> Runner:
    return FakeRunner(window) if family == "fake" else tiny_runner(family, window)


@cache
def oracle_of(family: str) -> Oracle:
    return Oracle(runner_of(family))


def a_model_set(text: str | tuple[Piece, ...] = "", **changes: object) -> Set:
    return replace(a_set(text, model=MODEL), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("family", NETWORKS)
def test_a_batched_forward_generates_the_same_as_transformers(family: str) -> None:
    vocabulary = tiny_vocabulary()
    engine = SteppedEngine(runner_of(family, 96))
    engine.run(a_model_set("the old house", budget=60))
    prompt = [vocabulary.start_id, *vocabulary.tokenize("the old house").ids]
    model = tiny_model(family)
    reference = type(model)(copy.deepcopy(model.config)).eval()
    reference.load_state_dict(model.state_dict())
    never = [i for i in range(vocabulary.size) if vocabulary.blocked[i]]
    generated = reference.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=63,
        do_sample=False,
        suppress_tokens=never,
        pad_token_id=vocabulary.start_id,
    )[0].tolist()
    ids = engine.ids()
    assert len(ids) >= 57  # Tokens of an unfinished character are not published.
    assert generated[len(prompt) :][: len(ids)] == ids


@pytest.mark.parametrize("family", FAMILIES)
@few
@given(texts=st.lists(TEXTS, min_size=2, max_size=7), sampling=st.sampled_from([GREEDY, SAMPLED]))
def test_a_batch_writes_the_same_as_each_sequence_alone(
    family: str, texts: list[str], sampling: SamplingParams
) -> None:
    together = SteppedEngine(runner_of(family))
    sets = [a_model_set(t, sequence=str(n), sampling=sampling, budget=12) for n, t in enumerate(texts)]
    together.run(*sets)
    for command in sets:
        alone = SteppedEngine(runner_of(family))
        alone.run(command)
        assert together.ids(command.sequence) == alone.ids(command.sequence)


EDITS = st.lists(
    st.tuples(
        st.floats(0, 1),  # the place, as a part of the text
        st.integers(0, 30),  # the number of characters to delete
        TEXTS,  # the text to insert
        st.integers(0, 6),  # the number of steps before the next edit
        st.integers(0, 40),  # the budget
    ),
    min_size=1,
    max_size=8,
)


@pytest.mark.parametrize("family", FAMILIES)
@few
@given(edits=EDITS, premise=st.booleans(), sampling=st.sampled_from([GREEDY, SAMPLED]))
def test_an_edited_sequence_writes_the_same_as_from_scratch(
    family: str, edits: list[tuple[float, int, str, int, int]], premise: bool, sampling: SamplingParams
) -> None:
    engine, text = SteppedEngine(runner_of(family)), "once upon"
    pinned = Premise("<|endoftext|>{prompt}", "a sea") if premise else None
    last = a_model_set(text, premise=pinned, sampling=sampling, budget=5)
    engine.send(last, a_model_set("another", sequence="mate", budget=100))
    for epoch, (where, deleted, inserted, steps, budget) in enumerate(edits, start=2):
        for _ in range(steps):
            engine.step()
        text += engine.text(epoch=epoch - 1)
        at = int(where * len(text))
        text = text[:at] + inserted + text[at + deleted :]
        last = replace(last, epoch=epoch, pieces=(Piece(text),), budget=budget)
        engine.send(last)
    engine.run(Budget("s", last.epoch, 20))
    scratch = SteppedEngine(runner_of(family))
    scratch.run(replace(last, budget=20))
    assert engine.ids(epoch=last.epoch) == scratch.ids()
    assert engine.text(epoch=last.epoch) == scratch.text()


@pytest.mark.parametrize("family", FAMILIES)
@few
@given(cuts=st.lists(st.integers(0, 12), max_size=6), again=st.booleans())
def test_a_resumed_sequence_writes_the_same_as_without_a_pause(family: str, cuts: list[int], again: bool) -> None:
    """The pause is a budget of 0. With `again` the next `Set` has the model's text as ids."""
    start = a_model_set("the river ran", sampling=SAMPLED, budget=24)
    whole = SteppedEngine(runner_of(family))
    whole.run(start)
    engine = SteppedEngine(runner_of(family))
    engine.send(start)
    for epoch, steps in enumerate(cuts, start=2):
        for _ in range(steps):
            engine.step()
        engine.run(Budget("s", start.epoch, 0))
        if again:
            written = engine.chunks()
            count = len(engine.ids())
            start = replace(
                start, epoch=epoch, pieces=(Piece("the river ran"), written_piece(written)), index=count,
                budget=max(0, 24 - count),
            )  # fmt: skip
            engine.send(start)
        else:
            engine.send(Budget("s", start.epoch, 24))
    engine.run()
    shorter = min(len(engine.ids()), len(whole.ids()))
    assert shorter >= 21
    assert engine.ids()[:shorter] == whole.ids()[:shorter]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("premise", [None, Premise("<|endoftext|>{prompt}", "sea hill")])
def test_every_token_is_the_best_one_for_its_window_computed_from_scratch(family: str, premise: Premise | None) -> None:
    """The text takes more than three windows, each with the premise or the start token as its head."""
    engine, oracle = SteppedEngine(runner_of(family)), oracle_of(family)
    vocabulary = engine.model.runner.vocabulary
    head = vocabulary.tokenize_template(premise.template, premise.prompt) if premise else [vocabulary.start_id]
    engine.run(a_model_set("once", premise=premise, budget=170))
    text_ids = list(vocabulary.tokenize("once").ids)
    lengths = [len(vocabulary.token_bytes[token_id]) for token_id in text_ids]
    base, bases, limit = 0, engine.bases(), WINDOW - stagger("s", WINDOW)
    assert len(bases) >= 3
    for chunk in engine.chunks():
        for token_id, length, _ in chunk.tokens:
            if len(head) + len(text_ids) - base > limit:
                offset, limit = bases.pop(0), WINDOW
                base = next(i for i in range(len(text_ids)) if sum(lengths[:i]) == offset)
                assert WINDOW // 2 <= len(text_ids) - base <= WINDOW // 2 + WINDOW // 16 + 1
            oracle.assert_greedy([*head, *text_ids[base:]], token_id)
            text_ids.append(token_id)
            lengths.append(length)
