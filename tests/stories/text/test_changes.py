"""The laws of ChangeSet on texts and changes of any shape, and what `from_json` refuses."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stories.text.changes import ChangeSet, InvalidChange
from stories.text.rebase import rebase
from stories.text.update import Update
from stories.text.utf16 import is_clean
from tests.stories.strategies import changes_to, texts


@given(st.data())
def test_compose_is_one_after_the_other(data: st.DataObject) -> None:
    text = data.draw(texts())
    first = data.draw(changes_to(text))
    second = data.draw(changes_to(first.apply(text)))
    third = data.draw(changes_to(second.apply(first.apply(text))))
    assert first.compose(second).apply(text) == second.apply(first.apply(text))
    left, right = first.compose(second).compose(third), first.compose(second.compose(third))
    assert left.apply(text) == right.apply(text)


@given(st.data())
def test_both_orders_lead_to_the_same_text(data: st.DataObject) -> None:
    text = data.draw(texts())
    a, b = data.draw(changes_to(text)), data.draw(changes_to(text))
    assert a.compose(b.map(a)).apply(text) == b.compose(a.map(b, before=True)).apply(text)


@given(st.data())
def test_json_and_lengths(data: st.DataObject) -> None:
    text = data.draw(texts())
    changes = data.draw(changes_to(text))
    assert ChangeSet.from_json(json.loads(json.dumps(changes.to_json()))) == changes
    assert changes.length == len(text)
    assert changes.new_length == len(changes.apply(text))


@given(st.data())
def test_changed_ranges_rebuild_the_text(data: st.DataObject) -> None:
    text = data.draw(texts())
    changes = data.draw(changes_to(text))
    new, rebuilt, at = changes.apply(text), "", 0
    ranges = list(changes.iter_changes())
    for change in ranges:
        rebuilt += text[at : change.from_a] + change.inserted
        at = change.to_a
        assert new[change.from_b : change.to_b] == change.inserted
    assert rebuilt + text[at:] == new
    assert changes.touches_end == any(change.to_a == len(text) for change in ranges)
    assert changes.is_empty == (not ranges)


@given(st.data())
def test_positions_outside_changes_keep_their_character(data: st.DataObject) -> None:
    text = data.draw(texts())
    changes = data.draw(changes_to(text))
    new = changes.apply(text)
    changed = {at for change in changes.iter_changes() for at in range(change.from_a, change.to_a)}
    for at in set(range(len(text))) - changed:
        assert new[changes.map_pos(at, 1)] == text[at]
    for at in range(len(text) + 1):
        assert changes.map_pos(at, -1) <= changes.map_pos(at, 1)


@given(st.data())
def test_a_repeated_push_is_harmless(data: st.DataObject) -> None:
    """However much of a push was accepted before its answer got lost, repeating it completes it once."""
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


@given(st.integers(0, 9), st.data())
def test_constructors(length: int, data: st.DataObject) -> None:
    text = "abcdefghi"[:length]
    start, end = sorted((data.draw(st.integers(0, length)), data.draw(st.integers(0, length))))
    assert ChangeSet.insert(length, start, "x\n").apply(text) == text[:start] + "x\n" + text[start:]
    assert ChangeSet.delete(length, start, end).apply(text) == text[:start] + text[end:]
    assert ChangeSet.identity(length).apply(text) == text
    assert ChangeSet.insert(length, start, "") == ChangeSet.identity(length)


@pytest.mark.parametrize(
    "value",
    [
        *(None, 5, "5", {}, [None], [True], [[True]], [1.0], [-1], [[-1]], [0], [[]], [[0]], [[0, ""]], [["x"]]),
        *([[0, 1]], [[0, None]], [[0, "a\nb"]], [[0, "a\r"]], [[0, "\0"]], [[0, "\ud83d"]], [[0, "\ude00x"]]),
        *([2**31], [2**30, 2**30], [[0, ["x"]]], [float("nan")], [[1.5]], [1] * 100_001),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_what_is_no_change(value: object) -> None:
    with pytest.raises(InvalidChange, match=r"\.$"):
        ChangeSet.from_json(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.floats() | st.text("a\n\0\ud83d\ude00😀", max_size=3),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=2), values, max_size=2),
    max_leaves=12,
)


@given(
    json_values | st.lists(st.integers(-1, 4) | st.lists(st.integers(0, 3) | st.text("a😀", max_size=2), max_size=3))
)
def test_json_of_any_shape_is_read_or_refused(value: object) -> None:
    try:
        changes = ChangeSet.from_json(value)
    except InvalidChange:
        return
    text = "x" * changes.length
    assert len(changes.apply(text)) == changes.new_length
    assert is_clean(changes.apply(text))
    assert ChangeSet.from_json(changes.to_json()) == changes


def test_lengths_must_agree() -> None:
    three, four = ChangeSet.identity(3), ChangeSet.insert(4, 0, "x")
    for attempt in (lambda: three.apply("ab"), lambda: four.map(three), lambda: three.compose(four)):
        with pytest.raises(InvalidChange):
            attempt()
    for start, end in ((-1, 0), (2, 1), (0, 4)):
        with pytest.raises(InvalidChange):
            ChangeSet.delete(3, start, end)
    with pytest.raises(InvalidChange):
        three.map_pos(4)


@given(st.data())
def test_a_rebase_over_joined_appends_is_one_over_each(data: st.DataObject) -> None:
    text = mine = reached = data.draw(texts())
    pushed, over = list[Update](), list[Update]()
    for _ in range(data.draw(st.integers(1, 3))):
        pushed.append(Update("one", "user", data.draw(changes_to(mine))))
        mine = pushed[-1].changes.apply(mine)
    for _ in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            over.append(Update("model", "model:m", ChangeSet.insert(len(reached), len(reached), "ab")))
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
