"""ChangeSet: against CodeMirror's results, the laws of its algebra on random texts, and its JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stories.text.changes import ChangeSet, InvalidChange
from stories.text.utf16 import is_clean, to_units
from tests.stories.strategies import changes_to, texts
from tests.stories.text.codemirror_vectors import PAIRS, canonical


@pytest.mark.parametrize("vector", PAIRS, ids=range(len(PAIRS)))
def test_every_operation_gives_the_result_of_codemirror(vector: dict[str, Any]) -> None:
    text, after_a = to_units(vector["text"]), to_units(vector["afterA"])
    a, b, following = (ChangeSet.from_json(vector[name]) for name in ("a", "b", "next"))
    assert canonical(a.to_json()) == vector["a"]
    assert a.apply(text) == after_a
    assert (a.length, a.new_length) == (len(text), vector["newLength"])
    assert canonical(a.map(b).to_json()) == vector["mapAfter"]
    assert canonical(a.map(b, before=True).to_json()) == vector["mapBefore"]
    assert canonical(a.compose(following).to_json()) == vector["composed"]
    assert a.map(b, before=True).apply(b.apply(text)) == to_units(vector["both"])
    assert [[a.map_pos(at, -1), a.map_pos(at, 1)] for at in range(len(text) + 1)] == vector["positions"]
    assert canonical([list(change) for change in a.iter_changes()]) == vector["ranges"]


@given(st.data())
def test_a_composition_does_one_change_after_the_other(data: st.DataObject) -> None:
    text = data.draw(texts())
    first = data.draw(changes_to(text))
    second = data.draw(changes_to(first.apply(text)))
    third = data.draw(changes_to(second.apply(first.apply(text))))
    assert first.compose(second).apply(text) == second.apply(first.apply(text))
    left, right = first.compose(second).compose(third), first.compose(second.compose(third))
    assert left.apply(text) == right.apply(text)


@given(st.data())
def test_concurrent_changes_give_the_same_text_in_both_orders(data: st.DataObject) -> None:
    text = data.draw(texts())
    a, b = data.draw(changes_to(text)), data.draw(changes_to(text))
    assert a.compose(b.map(a)).apply(text) == b.compose(a.map(b, before=True)).apply(text)


@given(st.data())
def test_json_is_read_back_unchanged_and_lengths_fit_the_texts(data: st.DataObject) -> None:
    text = data.draw(texts())
    changes = data.draw(changes_to(text))
    assert ChangeSet.from_json(json.loads(json.dumps(changes.to_json()))) == changes
    assert changes.length == len(text)
    assert changes.new_length == len(changes.apply(text))


@given(st.data())
def test_the_changed_ranges_rebuild_the_new_text(data: st.DataObject) -> None:
    text = data.draw(texts())
    changes = data.draw(changes_to(text))
    new, rebuilt, at = changes.apply(text), "", 0
    ranges = list(changes.iter_changes())
    for change in ranges:
        rebuilt += text[at : change.from_a] + change.inserted
        at = change.to_a
        assert new[change.from_b : change.to_b] == change.inserted
    assert rebuilt + text[at:] == new
    assert changes.inserted == sum(len(change.inserted) for change in ranges)
    assert changes.touches_end == any(change.to_a == len(text) for change in ranges)
    assert changes.is_empty == (not ranges)


@given(st.data())
def test_positions_outside_the_changes_keep_their_character(data: st.DataObject) -> None:
    text = data.draw(texts())
    changes = data.draw(changes_to(text))
    new = changes.apply(text)
    changed = {at for change in changes.iter_changes() for at in range(change.from_a, change.to_a)}
    for at in set(range(len(text))) - changed:
        assert new[changes.map_pos(at, 1)] == text[at]
    for at in range(len(text) + 1):
        assert changes.map_pos(at, -1) <= changes.map_pos(at, 1)


@given(st.integers(0, 9), st.data())
def test_insert_delete_and_identity_do_what_their_names_say(length: int, data: st.DataObject) -> None:
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
def test_a_malformed_change_is_refused(value: object) -> None:
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
def test_any_json_is_either_a_valid_change_or_refused(value: object) -> None:
    try:
        changes = ChangeSet.from_json(value)
    except InvalidChange:
        return
    text = "x" * changes.length
    assert len(changes.apply(text)) == changes.new_length
    assert is_clean(changes.apply(text))
    assert ChangeSet.from_json(changes.to_json()) == changes


def test_changes_of_other_lengths_are_refused() -> None:
    three, four = ChangeSet.identity(3), ChangeSet.insert(4, 0, "x")
    for attempt in (lambda: three.apply("ab"), lambda: four.map(three), lambda: three.compose(four)):
        with pytest.raises(InvalidChange):
            attempt()
    for start, end in ((-1, 0), (2, 1), (0, 4)):
        with pytest.raises(InvalidChange):
            ChangeSet.delete(3, start, end)
    with pytest.raises(InvalidChange):
        three.map_pos(4)
