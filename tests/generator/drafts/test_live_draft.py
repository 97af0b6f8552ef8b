"""The actor's order: what is asked is built from all that came before it, and answered only when it is durable."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from traceback import walk_tb
from typing import Any
from unittest.mock import Mock

import pytest

from generator.drafts import recent_updates as log_tail
from generator.drafts.engine_link import AMPLE_TOKENS
from generator.drafts.group_commit import GroupCommit
from generator.drafts.mailbox import LEAST_SECONDS
from generator.drafts.services import Surroundings
from generator.drafts.session import Session
from generator.models.hub_check import HubCheck
from generator.models.menu import Menu
from generator.wire.messages import Budget, Set
from stories.draft.events import DraftEvent, Edit, Hold, Left, Start, Tick, Viewed, Wrote
from stories.draft.reducer import EDIT_HOLD_SECONDS
from stories.draft.state import DraftSettings, new_head
from stories.errors import Refused, StorageFailed
from stories.storage.records import Commit, NewDraft, NewStory
from stories.storage.store import Store
from stories.text.changes import ChangeSet
from stories.text.span_list import SpanList
from stories.text.update import USER, Token, Update


class Room:
    """An actor over a real store, with a list in place of pages and engine."""

    def __init__(self, path: Path, threads: ThreadPoolExecutor) -> None:
        self.threads, self.heard, self.told = threads, list[tuple[str, dict[str, Any]]](), list[Any]()
        self.collect_seconds = LEAST_SECONDS
        self.store = Store(path / "stories.db")
        head = new_head(DraftSettings("Fake", {}, None), SpanList.of(4, USER))
        self.store.create_story(
            "owner", NewStory("s", "Once", "continue", (NewDraft("d", "Fake", head, "Once", SpanList.of(4, USER)),))
        )
        self.committer = GroupCommit(self.store, lambda function, *arguments: function(*arguments))
        (path / "config.js").write_text("var ModelConfig = {continuationModels: {}, promptModels: {}};")
        self.around = Surroundings(
            committer=self.committer,
            compute=lambda function, *arguments: function(*arguments),
            menu=Menu(path, path / "config.js", HubCheck(), ("paced-30",)),
            publish=lambda draft, event, body: self.heard.append((event, body)),
            send=self.told.append,
            engine_is_up=lambda: True,
            model_status=lambda key: None,
            expect=lambda request: Future(),
            stored_updates=self.store.updates,
            reacted=Mock(),
            collect_seconds=lambda: self.collect_seconds,
        )
        self.session = Session(self.store.load("d"), self.around)
        self.actor = self.session._actor

    def close(self) -> None:
        self.actor.end()
        self.actor.joined()
        self.committer.close()
        self.store.close()

    @property
    def updates(self) -> list[dict[str, Any]]:
        return [body for event, body in self.heard if event == "updates"]

    def busy(self) -> threading.Event:
        """The actor is busy until the returned event is set; what comes meanwhile is one batch."""
        release, entered = threading.Event(), threading.Event()

        def wait() -> DraftEvent:
            entered.set()
            release.wait(10)
            return Tick(0.0)

        self.actor.post(wait)
        assert entered.wait(10)
        return release

    def edit(self, revision: int, changes: ChangeSet, client: str = "page", at: float = 0.0) -> Future[int]:
        update = Update(client, USER, changes)

        def event() -> DraftEvent:
            return Edit("c", client, revision, (update,), self.actor.log_since(revision), at)

        return self.threads.submit(self.actor.ask, event, lambda: self.actor.state.revision)

    def write(self, text: str) -> None:
        epoch = self.actor.state.epoch
        self.actor.post(lambda: Wrote(epoch, text, (Token(1, len(text), -1.0),), "t"))


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with ThreadPoolExecutor(4) as threads:
        room = Room(tmp_path, threads)
        yield room
        room.close()


def wait_for_turns(room: Room, count: int) -> None:
    ticks = threading.Event()
    while room.actor.num_turns < count:
        ticks.wait(0.001)


def test_an_edit_is_rebased_over_text_that_came_in_the_same_batch(room: Room) -> None:
    room.actor.ask(lambda: Start(None, 1, 0.0), dict)
    release = room.busy()
    room.write(" upon")
    room.write(" a")
    answer = room.edit(0, ChangeSet.insert(4, 0, "X"))
    wait_for_turns(room, 3)
    release.set()
    assert answer.result(10) == 2, "the model's text is one update, the edit another"
    assert room.actor.state.text == "XOnce upon a"


def test_a_page_says_often_what_it_has_seen_but_the_engine_hears_only_of_credit_it_needs(room: Room) -> None:
    session = room.session
    room.actor.ask(lambda: Viewed("c", 0, 0.0), dict)
    room.actor.ask(lambda: Viewed("another", 0, 0.0), dict)
    room.actor.ask(lambda: Start(None, 1, 0.0), dict)
    epoch = room.actor.state.epoch
    for written in range(10, 1_000, 10):
        room.actor.post(lambda: Wrote(epoch, "x" * 10, (Token(1, 1, -1.0),) * 10, "t"))
        revision = room.actor.ask(lambda: Tick(0.0), lambda: room.actor.state.revision)
        before = room.actor.num_turns
        session.seen("c", revision)
        room.actor.ask(lambda: Tick(0.0), dict)
        session.seen("another", revision)
        session.seen("c", revision)
        assert room.actor.num_turns == before == 0, "what is known already costs no turn"
        assert room.actor.state.unseen_tokens == 0
        granted = [command.budget for command in room.told if isinstance(command, Budget | Set)]
        assert AMPLE_TOKENS <= granted[-1] - written + 10 <= 522
    assert len(granted) <= 6
    room.actor.ask(lambda: Hold("c", True, 0.0), dict)
    assert room.told[-1] == Budget("d", epoch, written)


def test_model_text_gathers_while_the_server_is_busy_but_waits_for_no_edit(room: Room) -> None:
    pause = threading.Event()
    room.actor.ask(lambda: Viewed("c", 0, 0.0), dict)
    room.actor.ask(lambda: Start(None, 1, 0.0), dict)
    room.write(" upon")
    deadline = time.monotonic() + 30
    while not room.updates:
        assert time.monotonic() < deadline
        pause.wait(0.001)
    room.collect_seconds = 1000.0
    for text in (" a", " time", " there"):
        room.write(text)
        pause.wait(0.05)
    assert len(room.updates) == 1
    assert room.edit(0, ChangeSet.insert(4, 0, "X")).result(10) == 3
    assert len(room.updates) == 3, "the model's text is one update, the edit another"


def wait_for_credit(room: Room) -> None:
    deadline = time.monotonic() + 30
    while not room.actor.state.granted:
        assert time.monotonic() < deadline
        threading.Event().wait(0.001)
    assert not room.actor.state.is_held(time.monotonic())
    room.actor.ask(lambda: Tick(time.monotonic()), dict)
    assert room.told[-1] == Budget("d", room.actor.state.epoch, room.actor.state.granted)


def test_a_hold_that_ends_while_text_gathers_is_over(room: Room) -> None:
    room.actor.ask(lambda: Viewed("c", 0, time.monotonic()), dict)
    room.actor.ask(lambda: Start(None, 1, time.monotonic()), dict)
    epoch = room.actor.state.epoch
    room.write(" upon")
    # Held for so much longer that it still is when the stale text comes.
    assert room.edit(0, ChangeSet.insert(4, 0, "X"), at=time.monotonic() + 1).result(10) == 2
    assert room.actor.state.granted == 0
    room.collect_seconds = 1000.0
    room.actor.post(lambda: Wrote(epoch, " a", (Token(1, 2, -1.0),), "t"))
    wait_for_credit(room)


def test_a_hold_that_ends_while_it_is_stored_is_over(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = room.committer.commit

    def slow(what: Commit) -> None:
        threading.Event().wait(EDIT_HOLD_SECONDS + 0.1)
        commit(what)

    monkeypatch.setattr("generator.drafts.status_line.PULSE_SECONDS", 1000.0)
    room.actor.ask(lambda: Viewed("c", 0, time.monotonic()), dict)
    room.actor.ask(lambda: Start(None, 1, time.monotonic()), dict)
    monkeypatch.setattr(room.committer, "commit", slow)
    assert room.edit(0, ChangeSet.insert(4, 0, "X"), at=time.monotonic()).result(10) == 1
    wait_for_credit(room)


def test_what_cannot_be_stored_is_not_acknowledged_and_not_shown(room: Room) -> None:
    room.actor.ask(lambda: Start(None, 1, 0.0), dict)
    room.store.close()
    with pytest.raises(Refused) as refusal:
        room.edit(0, ChangeSet.insert(4, 0, "X")).result(10)
    # Or it would hold the future that holds it, and with it the draft.
    assert all("done" not in frame.f_locals for frame, _ in walk_tb(refusal.tb))
    assert refusal.value.code == "storage"
    assert room.actor.state.text == "Once"
    assert room.actor.state.run is None
    assert {event for event, _ in room.heard} == {"state"}, "no page was shown the edit"
    assert room.heard[-1][1]["state"] == "failed"


def test_the_log_reaches_back_over_more_than_is_kept_in_memory_within_one_batch(room: Room) -> None:
    release = room.busy()
    for number in range(1_200):
        update = Update("page", USER, ChangeSet.insert(4 + number, 0, "X"))
        room.actor.post(partial(Edit, "c", "page", number, (update,), (), 0.0))
    wait_for_turns(room, 1_200)
    answer = room.edit(0, ChangeSet.insert(4, 4, "Y"), client="other")
    wait_for_turns(room, 1_201)
    release.set()
    assert answer.result(20) == 1_201
    assert room.actor.state.text == "X" * 1_200 + "OnceY"
    assert room.store.load("d").text == room.actor.state.text


def test_who_asks_a_draft_that_is_closed_is_answered(room: Room) -> None:
    release = room.busy()
    room.actor.end()
    waiting = room.edit(0, ChangeSet.insert(4, 0, "X"))
    wait_for_turns(room, 2)
    release.set()
    room.actor.joined()
    assert waiting.result(10) == 1, "what was taken in is still done"
    with pytest.raises(Refused) as refusal:
        room.edit(0, ChangeSet.insert(4, 0, "Y")).result(10)
    assert refusal.value.code == "busy"


def test_a_log_that_cannot_be_read_refuses_the_edit_and_nothing_else(room: Room) -> None:
    room.actor.log_since = Mock(side_effect=StorageFailed("The disk does not answer."))  # type: ignore[method-assign]
    release = room.busy()
    answer = room.edit(0, ChangeSet.insert(4, 0, "X"))
    wait_for_turns(room, 1)
    other = room.threads.submit(lambda: room.actor.ask(lambda: Start(None, 1, 0.0), lambda: True))
    release.set()
    with pytest.raises(Refused) as refusal:
        answer.result(10)
    assert refusal.value.code == "storage"
    assert other.result(10)
    assert room.actor.state.run is not None


def test_pages_that_break_while_they_are_told_do_not_keep_the_answer_back(room: Room) -> None:
    room.heard = Mock(append=Mock(side_effect=RuntimeError))
    with pytest.raises(Refused) as refusal:
        room.edit(0, ChangeSet.insert(4, 0, "X")).result(10)
    assert refusal.value.code == "storage"


def test_a_page_that_leaves_a_draft_that_cannot_be_stored_has_left(room: Room) -> None:
    room.actor.ask(lambda: Viewed("c", 0, 0.0), dict)
    room.store.close()
    release = room.busy()
    starting = room.threads.submit(lambda: room.actor.ask(lambda: Start(None, 1, 0.0), lambda: True))
    wait_for_turns(room, 1)
    room.actor.post(lambda: Left("c", 0.0))
    release.set()
    with pytest.raises(Refused):
        starting.result(10)
    assert room.actor.state.viewers == frozenset()
    assert room.actor.ask(lambda: Viewed("d", 0, 0.0), lambda: room.actor.state.text) == "Once", "it can be read"


def test_a_page_far_behind_gets_the_text_where_the_log_is_larger(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_tail, "MAX_BEHIND_UNITS", 100)
    monkeypatch.setattr(log_tail, "RECENT_UNITS", 50)
    session = Session(room.store.load("d"), room.around)
    for revision in range(6):
        length = 4 + 30 * revision
        session.edit("c", "page", revision, [(ChangeSet.insert(length, 0, "x" * 30), ())])
    assert len(session.open("c", 4, lambda: None)["updates"]) == 2
    far = session.open("c", 0, lambda: None)
    assert (far["text"], far["revision"]) == ("x" * 180 + "Once", 6)
    with pytest.raises(Refused, match="too far behind"):
        session.edit("c", "other", 0, [(ChangeSet.insert(4, 0, "y"), ())])
    session.end()
    session.joined()
