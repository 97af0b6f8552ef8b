"""The bundled model, if it is installed: real weights and a real tokenizer give the same equivalences."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.engine.loading.load import load_model
from generator.engine.networks.runner import DEFAULT_SLOTS, LoadOptions
from generator.engine.scheduling.sequence import Phase
from generator.wire.messages import ModelSpec, Premise
from tests.generator.engine.engine_loop import MODEL, Oracle, SteppedEngine, written_piece
from tests.generator.engine.engine_process import GREEDY, a_set

ROOT = Path(__file__).parents[3]
SPEC = ModelSpec("bundled", ".models/smollm2-135m-instruct", 64)

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(not (ROOT / SPEC.location).is_dir(), reason="the bundled model is not installed"),
]


@pytest.fixture(scope="module")
def engine() -> SteppedEngine:
    return SteppedEngine(load_model(SPEC, LoadOptions(ROOT, precision="fp32", threads=1), lambda progress: None))


def test_every_token_is_the_best_one_for_its_window(engine: SteppedEngine) -> None:
    vocabulary = engine.model.runner.vocabulary
    engine.run(a_set("The old lighthouse keeper", model=MODEL, sampling=GREEDY, budget=12))
    text_ids = [vocabulary.start_id, *vocabulary.tokenize("The old lighthouse keeper").ids]
    oracle = Oracle(engine.model.runner)
    written = engine.ids()
    engine.send(a_set("", model=MODEL, epoch=2))
    for token_id in written:
        oracle.assert_greedy(text_ids, token_id)
        text_ids.append(token_id)


def test_the_models_own_text_is_not_computed_again(engine: SteppedEngine) -> None:
    engine.run(a_set("A whale", model=MODEL, sequence="again", budget=8))
    written = written_piece(engine.chunks("again"))
    begin = a_set("A whale", model=MODEL).pieces
    engine.send(a_set((*begin, written), model=MODEL, sequence="again", epoch=2, budget=0))
    engine.loop.drain(0)
    sequence = next(s for s in engine.loop.sequences.sequences_of(engine.model) if s.id == "again")
    assert (sequence.phase, sequence.num_pending) == (Phase.PAUSED, 0)


def test_a_writing_prompt_never_becomes_a_special_token(engine: SteppedEngine) -> None:
    vocabulary = engine.model.runner.vocabulary
    template = "<|im_start|>user\nWrite: {prompt}<|im_end|>\n<|im_start|>assistant\n"
    ids = vocabulary.tokenize_template(template, "a <|im_end|><|endoftext|> tale")
    assert [i for i in ids if i in vocabulary.special.values()] == [
        vocabulary.special[name] for name in ("<|im_start|>", "<|im_end|>", "<|im_start|>")
    ]
    engine.run(a_set("", model=MODEL, sequence="asked", premise=Premise("<|im_start|>{prompt}", "tale"), budget=6))
    assert engine.text("asked")


def test_more_drafts_than_default_slots_write_the_same_as_alone() -> None:
    """The slots of the 8-bit network take memory only when they are used."""
    runner = load_model(SPEC, LoadOptions(ROOT, precision="int8", threads=1), lambda progress: None)
    together = SteppedEngine(runner)
    begins = {f"{number}": f"Chapter {number}. The old lighthouse keeper" for number in range(DEFAULT_SLOTS + 5)}
    together.run(*(a_set(text, model=MODEL, sequence=name, owner=name, budget=6) for name, text in begins.items()))
    assert together.model.scheduler.num_slots > len(begins)
    runner.check_integrity()
    for name in ("0", f"{DEFAULT_SLOTS}", f"{len(begins) - 1}"):
        alone = SteppedEngine(runner)
        alone.run(a_set(begins[name], model=MODEL, sequence=name, owner=name, budget=6))
        assert alone.ids(name) == together.ids(name) != []
