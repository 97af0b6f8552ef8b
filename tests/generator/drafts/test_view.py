"""The view: what other threads see of a draft while it works."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import replace
from unittest.mock import Mock

import pytest

from generator.drafts.live_draft import LiveDraft
from generator.wire.messages import ModelSpec, Status
from stories.draft.events import Start, Viewed
from stories.storage.records import Commit
from stories.text.changes import ChangeSet
from tests.generator.drafts.draft_room import DraftRoom


def test_a_draft_whose_commit_takes_long_is_not_idle(room: DraftRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    release, entered, commit = threading.Event(), threading.Event(), room.storage.commit

    def slow(what: Commit) -> None:
        entered.set()
        release.wait(10)
        commit(what)

    room.draft.touched = -1e9
    assert room.draft.is_idle(time.monotonic())
    monkeypatch.setattr(room.storage, "commit", slow)
    answer = room.edit(0, ChangeSet.insert(4, 0, "X"))
    assert entered.wait(10)
    assert not room.draft.is_idle(time.monotonic())
    release.set()
    assert answer.result(10) == 1


def test_pages_that_answer_an_update_at_once_find_it_in_the_view(room: DraftRoom) -> None:
    shown: list[int] = []
    look = Mock(side_effect=lambda draft, event, body: shown.append(room.state.revision))
    draft = LiveDraft(room.store.load("d"), replace(room.services, publish=look))
    room.draft, before = draft, room.draft
    draft.edit("c", "page", 0, [(ChangeSet.insert(4, 0, "X"), ())])
    assert shown[0] == 1
    draft.end()
    draft.join()
    room.draft = before


def test_other_threads_may_look_at_a_draft_while_it_writes(room: DraftRoom) -> None:
    """In threading mode REST's threads list drafts while their own threads work."""
    ready = Status(ModelSpec("fake", "paced-30"), "ready", 1.0)
    room.engine._receive(ready)
    room.apply(Viewed("c", 0, time.monotonic()))
    room.apply(Start(None, 1, time.monotonic()))
    failures, done = list[Exception](), threading.Event()

    def look() -> None:
        while not done.is_set():
            try:
                view = room.draft.view
                assert view.phase in ("writing", "waiting", "paused")
                assert view.num_words >= 1
            except Exception as failure:
                failures.append(failure)
                raise

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        lookers = [room.threads.submit(look) for _ in range(3)]
        for _ in range(60):
            room.draft._status_line._written.extend([(time.monotonic() - 10, 1)] * 50)
            room.write(" a")
            done.wait(0.005)
        done.set()
        for looker in lookers:
            looker.result(10)
    finally:
        done.set()
        sys.setswitchinterval(interval)
    assert failures == []
