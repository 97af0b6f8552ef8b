"""Rebase: against CodeMirror's results, against a rebase over one update after the other, and its cost."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stories.text.changes import ChangeSet
from stories.text.rebase import edit_work, rebase, rebase_work
from stories.text.update import MODEL_CLIENT, USER, Update
from stories.text.utf16 import to_units
from tests.stories.strategies import changes_to, texts
from tests.stories.text.codemirror_vectors import REBASES, canonical


@pytest.mark.parametrize("vector", REBASES, ids=range(len(REBASES)))
def test_rebase_gives_the_result_of_codemirror(vector: dict[str, Any]) -> None:
    def read(name: str) -> list[Update]:
        return [Update(client, "user", ChangeSet.from_json(changes)) for client, changes in vector[name]]

    rebased = rebase(read("updates"), read("over"))
    assert canonical([[update.client, update.changes.to_json()] for update in rebased]) == vector["rebased"]
    text = to_units(vector["text"])
    for update in [*read("over"), *rebased]:
        text = update.changes.apply(text)
    assert text == to_units(vector["result"])


@given(st.data())
def test_repeating_a_push_adds_only_the_updates_that_were_not_accepted(data: st.DataObject) -> None:
    """A client repeats a push whose answer was lost, after any number of its updates were accepted."""
    text = data.draw(texts())
    pushed: list[Update] = []
    mine = text
    for _ in range(data.draw(st.integers(1, 3))):
        pushed.append(Update("me", "user", data.draw(changes_to(mine))))
        mine = pushed[-1].changes.apply(mine)
    other = Update("you", "user", data.draw(changes_to(text)))
    once = [other, *rebase(pushed, [other])]
    accepted = data.draw(st.integers(0, len(pushed)))
    assert [*once[: 1 + accepted], *rebase(pushed, once[: 1 + accepted])] == once


@given(st.data())
def test_joining_appends_does_not_change_the_result(data: st.DataObject) -> None:
    text = mine = reached = data.draw(texts())
    pushed, over = list[Update](), list[Update]()
    for _ in range(data.draw(st.integers(1, 3))):
        pushed.append(Update("one", "user", data.draw(changes_to(mine))))
        mine = pushed[-1].changes.apply(mine)
    for _ in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            over.append(append(len(reached)))
        else:
            over.append(Update("two", "user", data.draw(changes_to(reached))))
        reached = over[-1].changes.apply(reached)
    pending = [update.changes for update in pushed]
    for accepted in over:
        moving = accepted.changes
        for index, own in enumerate(pending):
            pending[index] = own.map(moving)
            moving = moving.map(own, before=True)
        mine = moving.apply(mine)
    rebased = [update.changes for update in rebase(pushed, over)]
    assert rebased == pending
    for changes in rebased:
        reached = changes.apply(reached)
    assert reached == mine, text


def append(length: int, client: str = MODEL_CLIENT) -> Update:
    """Two units at the end of a text of `length` units."""
    return Update(client, "model:m", ChangeSet.insert(length, length, "ab"))


def test_consecutive_appends_by_a_model_cost_as_much_as_one() -> None:
    typed = [Update("me", USER, ChangeSet.insert(5, 2, "x"))]
    one, thousand = [append(5)], [append(5 + 2 * number) for number in range(1000)]
    assert rebase_work(typed, thousand) == rebase_work(typed, one) == 3 + 2
    separate = [append(5 + 2 * number, client="you") for number in range(1000)]
    assert rebase_work(typed, separate) == (3 + 2) * 1000
    assert rebase_work([], thousand) == rebase_work(typed, []) == 0


def test_the_cost_of_an_edit_includes_applying_it() -> None:
    typed = [Update("me", USER, ChangeSet.insert(5, 2, "x"))]
    assert edit_work(typed, []) == 3
    assert edit_work(typed, [append(5)]) == rebase_work(typed, [append(5)]) + 3


@pytest.mark.parametrize("changes", [[2, [0, "ab"], 3], [4, [1, "ab"]], [[0, "ab"], 4, [0, "ab"]], [3, [2]], [5]])
def test_other_updates_by_a_model_are_not_joined(changes: list[object]) -> None:
    first = Update(MODEL_CLIENT, "model:m", ChangeSet.from_json(changes))
    over = [first, append(first.changes.new_length)]
    typed = [Update("me", USER, ChangeSet.insert(5, 2, "x"))]
    assert rebase_work(typed, over) == rebase_work(typed, over[:1]) + rebase_work(typed, over[1:])
