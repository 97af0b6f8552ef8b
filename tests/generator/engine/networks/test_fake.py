"""Fake model: its logits depend on every token in the slot and on nothing else, and its names choose its behaviour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.engine.networks.fake import FakeRunner, fake_vocabulary, load_fake
from generator.engine.networks.runner import MAX_SLOTS, BatchItem, LoadFailed
from generator.engine.sampling.arrays import Floats
from generator.wire.messages import ModelSpec
from tests.generator.engine.networks.batches import never

SIZE = fake_vocabulary().size
TOKENS = st.lists(st.integers(0, SIZE - 1), min_size=1, max_size=20)


def logits_of(runner: FakeRunner, token_ids: list[int], slot: int = 0, start: int = 0) -> Floats:
    logits: Floats = runner.forward([BatchItem(slot, token_ids[start:], start, True)], never)[0]
    return logits


@given(TOKENS, st.data())
def test_logits_depend_on_every_token_of_the_sequence(token_ids: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(token_ids) - 1))
    other = list(token_ids)
    other[place] = (other[place] + 1 + data.draw(st.integers(0, SIZE - 2))) % SIZE
    runner = FakeRunner()
    logits_of(runner, token_ids, slot=0)
    logits_of(runner, other, slot=1)
    assert runner._hashes[0, len(token_ids) - 1] != runner._hashes[1, len(token_ids) - 1]


@given(TOKENS, TOKENS, st.data())
def test_any_split_into_forwards_gives_the_same_logits(
    token_ids: list[int], others: list[int], data: st.DataObject
) -> None:
    expected = logits_of(FakeRunner(), token_ids)
    cut = data.draw(st.integers(0, len(token_ids) - 1))
    runner = FakeRunner()
    logits_of(runner, others, slot=1)
    if cut:
        runner.forward([BatchItem(1, token_ids[:cut], 0, False), BatchItem(2, others, 0, False)], never)
    runner.copy_slot(1, 3, cut)
    assert (logits_of(runner, token_ids, slot=1, start=cut) == expected).all()
    assert (logits_of(runner, token_ids, slot=3, start=cut) == expected).all()


def test_only_items_that_want_logits_get_them() -> None:
    runner = FakeRunner()
    items = [BatchItem(0, [5], 0, False), BatchItem(1, [6], 0, True)]
    assert (runner.forward(items, never) == logits_of(FakeRunner(), [6])[None]).all()
    assert runner.forward([BatchItem(0, [5], 0, False)], never).shape == (0, SIZE)


def test_the_first_half_of_an_emoji_is_followed_by_a_second_half() -> None:
    vocabulary = fake_vocabulary()
    half = vocabulary.token_bytes.index(b" \xf0\x9f")
    for token_id in range(40):
        best = int(np.argmax(logits_of(FakeRunner(), [token_id, half])))
        assert (b" \xf0\x9f" + vocabulary.token_bytes[best]).decode().strip() in "🌊🌙🐺🔥"


@given(st.text())
def test_the_tokens_of_a_text_spell_it(text: str) -> None:
    vocabulary = fake_vocabulary()
    ids, _ = vocabulary.encode(text)
    assert b"".join(vocabulary.token_bytes[token_id] for token_id in ids) == text.encode()


def test_names_choose_the_behaviour() -> None:
    heard: list[float] = []
    instant = load_fake(ModelSpec("fake", "instant", 100), heard.append)
    assert (instant.window, instant.num_slots, instant.seconds_per_token) == (100, MAX_SLOTS, 0)
    assert load_fake(ModelSpec("fake", "instant"), heard.append).window == 1024
    assert load_fake(ModelSpec("fake", "paced-20"), heard.append).seconds_per_token == 0.05
    assert heard == []
    load_fake(ModelSpec("fake", "slow-load"), heard.append)
    assert heard == [step / 10 for step in range(1, 11)]


def test_it_fails_at_the_forward_in_its_name_and_only_there() -> None:
    runner = load_fake(ModelSpec("fake", "raises-2"), lambda progress: None)
    logits_of(runner, [1])
    with pytest.raises(RuntimeError):
        logits_of(runner, [1])
    logits_of(runner, [1])


@pytest.mark.parametrize("name", ["", "gpt2", "instant-3", "paced", "paced-0", "paced--1", "slow-start", "crash-x"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(LoadFailed, match="no fake model"):
        load_fake(ModelSpec("fake", name), lambda progress: None)
