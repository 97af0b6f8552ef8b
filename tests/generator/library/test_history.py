"""History reads a log once, in slices, and answers as if it had read it whole."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pytest

from generator.library import history
from generator.library.history import History
from stories.storage.records import Commit, NewDraft, NewStory
from stories.storage.store import Store
from stories.storage.times import Times
from stories.text.changes import ChangeSet
from stories.text.span_list import SpanList
from stories.text.update import USER, Update

HEAD = {"model": "m"}
P = ParamSpec("P")
R = TypeVar("R")


def test_a_log_is_read_once_and_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "SLICE", 7)
    store = Store(tmp_path / "stories.db")
    beginning = NewDraft("d", "m", HEAD, "Once.", SpanList.of(5, USER))
    store.create_story("me", NewStory("s", "Title", "continue", (beginning,)))
    read: list[int] = []

    def call(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        result = function(*args, **kwargs)
        if isinstance(result, Times):
            read.append(result.revision)
        return result

    asked = History(store, call)
    text, spans = "Once.", SpanList.of(5, USER)
    for revision in range(30):
        update = Update("page", USER, ChangeSet.insert(len(text), len(text) // 2, "ab"))
        text, spans = update.changes.apply(text), spans.apply(update)
        store.commit([Commit("d", revision, (update,), HEAD, text, spans)])
        if revision in (20, 29):
            whole = Times.of_beginning(5).after(store.history("d"))
            assert asked.times("d") == whole
            assert sum(length for length, _ in whole.runs) == len(text)
    assert read == [0, 7, 14, 21, 21, 28, 30]
    store.close()
