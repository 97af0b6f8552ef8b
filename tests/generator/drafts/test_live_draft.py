"""A live draft: requests are built from everything before them, and answered only when they are durable."""

from __future__ import annotations

import threading
import time
from functools import partial
from pathlib import Path
from traceback import walk_tb
from unittest.mock import Mock

import pytest

from generator.drafts.live_draft import LiveDraft
from generator.engine_link.order import AMPLE_TOKENS
from generator.wire.messages import Budget, Set
from stories import limits
from stories.draft.events import Edit, Hold, Left, Start, Tick, Viewed, Wrote
from stories.draft.reducer import EDIT_HOLD_SECONDS
from stories.errors import Refused, StorageFailed
from stories.storage.records import Commit
from stories.text.changes import ChangeSet
from stories.text.update import USER, Token, Update
from tests.generator.drafts.draft_room import DraftRoom


def wait_for_requests(room: DraftRoom, count: int) -> None:
    ticks = threading.Event()
    while len(room.mailbox) < count:
        ticks.wait(0.001)


def test_an_edit_is_rebased_over_text_that_came_in_the_same_batch(room: DraftRoom) -> None:
    room.apply(Start(None, 1, 0.0))
    release = room.busy()
    room.write(" upon")
    room.write(" a")
    answer = room.edit(0, ChangeSet.insert(4, 0, "X"))
    wait_for_requests(room, 3)
    release.set()
    assert answer.result(10) == 2, "the model's text is one update, the edit another"
    assert room.state.text == "XOnce upon a"


def test_pages_say_often_what_they_have_seen_but_the_engine_hears_only_of_credit_it_needs(room: DraftRoom) -> None:
    room.apply(Viewed("c", 0, 0.0))
    room.apply(Viewed("another", 0, 0.0))
    epoch = room.apply(Start(None, 1, 0.0)).epoch
    for written in range(10, 1_000, 10):
        room.draft.engine_sent(Wrote(epoch, "x" * 10, (Token(1, 1, -1.0),) * 10, "t"))
        revision = room.apply(Tick(0.0)).revision
        before = len(room.mailbox)
        room.draft.seen("c", revision)
        room.apply(Tick(0.0))
        room.draft.seen("another", revision)
        room.draft.seen("c", revision)
        assert len(room.mailbox) == before == 0, "news that is known already costs no request"
        assert room.state.unseen_tokens == 0
        granted = [command.budget for command in room.commands if isinstance(command, Budget | Set)]
        assert AMPLE_TOKENS <= granted[-1] - written + 10 <= 522
    assert len(granted) <= 6
    room.apply(Hold("c", True, 0.0))
    assert room.commands[-1] == Budget("d", epoch, written)


def test_model_text_gathers_while_the_server_is_busy_but_delays_no_edit(room: DraftRoom) -> None:
    pause = threading.Event()
    room.apply(Viewed("c", 0, 0.0))
    room.apply(Start(None, 1, 0.0))
    room.write(" upon")
    deadline = time.monotonic() + 30
    while not room.updates:
        assert time.monotonic() < deadline
        pause.wait(0.001)
    room.gather_seconds = 1000.0
    for text in (" a", " time", " there"):
        room.write(text)
        pause.wait(0.05)
    assert len(room.updates) == 1
    assert room.edit(0, ChangeSet.insert(4, 0, "X")).result(10) == 3
    assert len(room.updates) == 3, "the model's text is one update, the edit another"


def wait_for_credit(room: DraftRoom) -> None:
    deadline = time.monotonic() + 30
    while not room.state.granted:
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)
    assert not room.state.is_held(time.monotonic())
    room.apply(Tick(time.monotonic()))
    assert room.commands[-1] == Budget("d", room.state.epoch, room.state.granted)


def test_a_hold_that_ends_while_text_gathers_is_over(room: DraftRoom) -> None:
    room.apply(Viewed("c", 0, time.monotonic()))
    epoch = room.apply(Start(None, 1, time.monotonic())).epoch
    room.write(" upon")
    # Held for so much longer that it still is when the stale text comes.
    assert room.edit(0, ChangeSet.insert(4, 0, "X"), at=time.monotonic() + 1).result(10) == 2
    assert room.state.granted == 0
    room.gather_seconds = 1000.0
    room.write(" a", epoch)
    wait_for_credit(room)


def test_a_hold_that_ends_while_it_is_stored_is_over(room: DraftRoom, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = room.storage.commit

    def slow(what: Commit) -> None:
        threading.Event().wait(EDIT_HOLD_SECONDS + 0.1)
        commit(what)

    monkeypatch.setattr("generator.drafts.status_line.PULSE_SECONDS", 1000.0)
    room.apply(Viewed("c", 0, time.monotonic()))
    room.apply(Start(None, 1, time.monotonic()))
    monkeypatch.setattr(room.storage, "commit", slow)
    assert room.edit(0, ChangeSet.insert(4, 0, "X"), at=time.monotonic()).result(10) == 1
    wait_for_credit(room)


def test_an_edit_that_cannot_be_stored_is_neither_acknowledged_nor_shown(room: DraftRoom) -> None:
    room.apply(Start(None, 1, 0.0))
    room.store.close()
    with pytest.raises(Refused) as refusal:
        room.edit(0, ChangeSet.insert(4, 0, "X")).result(10)
    # Otherwise the frame would hold the future that holds the refusal, and with it the draft.
    assert all("done" not in frame.f_locals for frame, _ in walk_tb(refusal.tb))
    assert refusal.value.code == "storage"
    assert room.state.text == "Once"
    assert room.state.run is None
    assert {event for event, _ in room.heard} == {"state"}, "no page was shown the edit"
    assert room.heard[-1][1]["state"] == "failed"
    assert room.draft.view.phase == "failed"


def test_the_log_reaches_back_further_than_memory_within_one_batch(room: DraftRoom) -> None:
    release = room.busy()
    for number in range(1_200):
        update = Update("page", USER, ChangeSet.insert(4 + number, 0, "X"))
        room.mailbox.post(partial(Edit, "c", "page", number, (update,), (), 0.0))
    wait_for_requests(room, 1_200)
    answer = room.edit(0, ChangeSet.insert(4, 4, "Y"), client="other")
    wait_for_requests(room, 1_201)
    release.set()
    assert answer.result(20) == 1_201
    assert room.state.text == "X" * 1_200 + "OnceY"
    assert room.store.load("d").text == room.state.text


def test_a_request_to_a_draft_that_is_closed_is_answered(room: DraftRoom) -> None:
    release = room.busy()
    room.draft.end()
    waiting = room.edit(0, ChangeSet.insert(4, 0, "X"))
    wait_for_requests(room, 2)
    release.set()
    room.draft.join()
    assert waiting.result(10) == 1, "a request that was taken in is still done"
    with pytest.raises(Refused) as refusal:
        room.edit(0, ChangeSet.insert(4, 0, "Y")).result(10)
    assert refusal.value.code == "busy"


def test_a_log_that_cannot_be_read_refuses_the_edit_and_nothing_else(
    room: DraftRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room.draft._storage, "since", Mock(side_effect=StorageFailed("The disk does not answer.")))
    release = room.busy()
    answer = room.edit(0, ChangeSet.insert(4, 0, "X"))
    wait_for_requests(room, 1)
    other = room.threads.submit(room.draft.start, None)
    release.set()
    with pytest.raises(Refused) as refusal:
        answer.result(10)
    assert refusal.value.code == "storage"
    assert other.result(10)["epoch"] == 1
    assert room.state.run is not None


def test_pages_that_break_while_they_are_told_do_not_hold_back_the_answer(room: DraftRoom) -> None:
    room.heard = Mock(append=Mock(side_effect=RuntimeError))
    with pytest.raises(Refused) as refusal:
        room.edit(0, ChangeSet.insert(4, 0, "X")).result(10)
    assert refusal.value.code == "storage"


def test_a_page_that_leaves_a_draft_that_cannot_be_stored_has_left(room: DraftRoom) -> None:
    room.apply(Viewed("c", 0, 0.0))
    room.store.close()
    release = room.busy()
    starting = room.threads.submit(room.apply, Start(None, 1, 0.0))
    wait_for_requests(room, 1)
    room.mailbox.post(lambda: Left("c", 0.0))
    release.set()
    with pytest.raises(Refused):
        starting.result(10)
    assert room.state.viewers == frozenset()
    assert room.apply(Viewed("d", 0, 0.0)).text == "Once", "it can be read"


def test_a_page_far_behind_gets_the_text_where_the_log_is_larger(
    room: DraftRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "BEHIND_UNITS", 100)
    monkeypatch.setattr(limits, "RECENT_UNITS", 50)
    draft = LiveDraft(room.store.load("d"), room.services)
    for revision in range(6):
        length = 4 + 30 * revision
        draft.edit("c", "page", revision, [(ChangeSet.insert(length, 0, "x" * 30), ())])
    assert len(draft.open("c", 4, lambda: None)["updates"]) == 2
    far = draft.open("c", 0, lambda: None)
    assert (far["text"], far["revision"]) == ("x" * 180 + "Once", 6)
    with pytest.raises(Refused, match="too far behind"):
        draft.edit("c", "other", 0, [(ChangeSet.insert(4, 0, "y"), ())])
    draft.end()
    draft.join()


def test_a_model_that_the_menu_no_longer_offers_stops_the_run_with_a_reason(room: DraftRoom, tmp_path: Path) -> None:
    room.apply(Viewed("c", 0, 0.0))
    room.draft.start(None)
    epoch = room.state.epoch
    room.services.menu.mark("fake:paced-30:", False, "It is broken.")
    room.draft.refresh()
    room.edit(0, ChangeSet.insert(4, 0, "X")).result(10)
    assert room.draft.view.phase == "failed"
    assert room.heard[-1][1]["detail"] == "Fake: It is broken."
    assert room.commands[-1] == Budget("d", epoch, 0), "the engine stops, too"
