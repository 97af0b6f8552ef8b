"""Alternatives: the place is mapped over later updates, and the answer counts in the text of the answer's revision."""

from __future__ import annotations

import pytest

from generator.engine_link.alternatives import question
from generator.engine_link.order import SequenceName
from generator.models.menu import MenuEntry
from generator.wire.messages import AlternativesReady, ModelSpec
from stories.errors import Refused
from stories.text.changes import ChangeSet
from stories.text.update import USER, Update
from tests.stories.writers import new_state

NAME = SequenceName("draft", "me", "continue")
ENTRY = MenuEntry("Fake", "fake:instant", "continue", ModelSpec("fake", "instant", 16), None)


def test_a_place_is_asked_for_where_it_is_now() -> None:
    state = new_state("XXOnce upon")
    typed = Update("page", USER, ChangeSet.insert(9, 0, "XX"))
    asked = question(state, NAME, ENTRY, (typed,), at=5)
    assert asked.command.at == 7
    assert "".join(piece.text for piece in asked.command.pieces) == state.text
    body = asked.answer(AlternativesReady(asked.command.request, 6, 11, ((" upon", 0.5),)))
    assert body == {"revision": 0, "range": [6, 11], "options": [{"text": " upon", "probability": 0.5}]}


def test_a_place_far_before_the_window_is_asked_for_with_all_of_the_text() -> None:
    state = new_state("word " * 1000)
    near = question(state, NAME, ENTRY, (), at=4_990)
    assert near.base > 0
    assert near.command.at == 4_990 - near.base
    ready = AlternativesReady("r", 3, 5, ())
    assert near.answer(ready)["range"] == [near.base + 3, near.base + 5]
    far = question(state, NAME, ENTRY, (), at=10)
    assert (far.base, far.command.at) == (0, 10)


def test_a_place_past_the_end_and_an_answer_with_an_error_are_refused() -> None:
    state = new_state("Once")
    with pytest.raises(Refused, match="past the end"):
        question(state, NAME, ENTRY, (Update("page", USER, ChangeSet.insert(2, 2, "ce")),), at=3)
    asked = question(state, NAME, ENTRY, (), at=4)
    with pytest.raises(Refused, match="The writing prompt takes too much"):
        asked.answer(AlternativesReady("r", 0, 0, (), "The writing prompt takes too much."))
