"""What the reducer refuses, and that nothing changes then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from stories.errors import Refused
from stories.limits import DRAFT_UNITS
from stories.text.changes import ChangeSet
from stories.text.update import USER, Update
from tests.stories.writers import Authority


def test_changes_that_do_not_fit_or_split_a_character_are_refused() -> None:
    authority = Authority("a\ud83d\ude00b")
    cases = [ChangeSet.insert(9, 0, "x"), ChangeSet.insert(4, 2, "x"), ChangeSet.delete(4, 0, 2)]
    for changes in cases:
        with pytest.raises(Refused) as refusal:
            authority.push(0, "one", (Update("one", USER, changes),))
        assert refusal.value.code == "invalid"
    assert authority.state.revision == 0


def test_a_push_is_all_or_nothing() -> None:
    authority = Authority("abc")
    good = Update("one", USER, ChangeSet.insert(3, 0, "x"))
    with pytest.raises(Refused):
        authority.push(0, "one", (good, good))
    assert authority.state.text == "abc"


def test_a_draft_that_would_grow_too_large_is_refused() -> None:
    authority = Authority("abc")
    huge = Update("one", USER, ChangeSet.insert(3, 0, "x" * DRAFT_UNITS))
    with pytest.raises(Refused) as refusal:
        authority.push(0, "one", (huge,))
    assert refusal.value.code == "too_large"


def test_undo_restores_only_authors_of_this_draft() -> None:
    authority = Authority("a")
    authority.start()
    authority.write("bcd")
    author = "model:GPT-2 small"
    delete = Update("one", USER, ChangeSet.delete(4, 1, 4))
    authority.push(authority.state.revision, "one", (delete,))
    undo = Update("one", USER, ChangeSet.insert(1, 1, "bcd"), authors=((3, author),))
    forged = replace(undo, authors=((3, "model:Other"),))
    short = replace(undo, authors=((2, author),))
    for bad in (forged, short):
        with pytest.raises(Refused):
            authority.push(authority.state.revision, "one", (bad,))
    authority.push(authority.state.revision, "one", (undo,))
    assert authority.state.spans.runs() == [(1, USER), (3, author)]


def test_an_edit_that_would_take_too_long_to_rebase_is_refused() -> None:
    authority = Authority("")
    typed = tuple(Update("one", USER, ChangeSet.insert(at, 0, "x")) for at in range(1000))
    authority.push(0, "one", typed)
    late = tuple(replace(update, client="two") for update in typed)
    with pytest.raises(Refused) as refusal:
        authority.push(0, "two", late)
    assert refusal.value.code == "behind"
    authority.push(0, "two", late[:10])
    assert authority.state.revision == 1010
