"""A live draft over a real store, with lists in place of pages and engine process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from unittest.mock import Mock

from generator.drafts.group_commit import GroupCommit
from generator.drafts.live_draft import LiveDraft
from generator.drafts.mailbox import MIN_GATHER_SECONDS
from generator.drafts.services import Services
from generator.engine_link.shared_engine import SharedEngine
from generator.models.hub_check import HubCheck
from generator.models.menu import Menu
from generator.wire.messages import EngineCommand
from stories.draft.events import DraftEvent, Edit, Tick, Wrote
from stories.draft.state import DraftSettings, DraftState, new_head
from stories.storage.records import NewDraft, NewStory
from stories.storage.store import Store
from stories.text.changes import ChangeSet
from stories.text.span_list import SpanList
from stories.text.update import USER, Token, Update

P = ParamSpec("P")
R = TypeVar("R")


def call(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run blocking work where it is: these tests have no event loop."""
    return function(*args, **kwargs)


class RecordingEngine:
    """An engine that is always up and records its commands. `reports` are the functions it would call."""

    is_up, restarts = True, 0

    def __init__(self, **reports: Callable[..., None]) -> None:
        self.reports = reports
        self.commands: list[EngineCommand] = []

    def start(self) -> None:
        """It is up already."""

    def stop(self) -> None:
        """It has no process."""

    def send(self, command: EngineCommand) -> None:
        self.commands.append(command)


def menu_with_fakes(root: Path) -> Menu:
    (root / "config.js").write_text("var ModelConfig = {continuationModels: {}, promptModels: {}};")
    return Menu(root, root / "config.js", HubCheck(), ("paced-30",))


class DraftRoom:
    """`heard` is what pages were sent, `commands` what the engine was sent."""

    def __init__(self, path: Path, threads: ThreadPoolExecutor) -> None:
        self.threads, self.heard = threads, list[tuple[str, dict[str, Any]]]()
        self.gather_seconds = MIN_GATHER_SECONDS
        self.store = Store(path / "stories.db")
        head, spans = new_head(DraftSettings("Fake", {}, None), SpanList.of(4, USER)), SpanList.of(4, USER)
        self.store.create_story(
            "owner", NewStory("s", "Once", "continue", (NewDraft("d", "Fake", head, "Once", spans),))
        )
        self.storage = GroupCommit(self.store, call)
        self.engine = SharedEngine(RecordingEngine, Mock(), Mock(), Mock(), Mock())
        self.services = Services(
            storage=self.storage,
            engine=self.engine,
            menu=menu_with_fakes(path),
            publish=lambda draft, event, body: self.heard.append((event, body)),
            compute=call,
            reacted=Mock(),
            gather_seconds=lambda: self.gather_seconds,
        )
        self.draft = LiveDraft(self.store.load("d"), self.services)
        self.mailbox = self.draft._mailbox

    def close(self) -> None:
        self.draft.end()
        self.draft.join()
        self.storage.close()
        self.store.close()

    @property
    def state(self) -> DraftState:
        return self.draft.view.state

    @property
    def commands(self) -> list[EngineCommand]:
        engine = self.engine._engine
        assert isinstance(engine, RecordingEngine)
        return engine.commands

    @property
    def updates(self) -> list[dict[str, Any]]:
        return [body for event, body in self.heard if event == "updates"]

    def apply(self, event: DraftEvent) -> DraftState:
        """Apply an event and return the state after it."""
        return self.mailbox.ask(lambda: event, lambda: self.draft._state)

    def busy(self) -> threading.Event:
        """Keep the draft busy until the returned event is set: requests that come meanwhile are one batch."""
        release, entered = threading.Event(), threading.Event()

        def wait() -> DraftEvent:
            entered.set()
            release.wait(10)
            return Tick(0.0)

        self.mailbox.post(wait)
        assert entered.wait(10)
        return release

    def edit(self, revision: int, changes: ChangeSet, client: str = "page", at: float = 0.0) -> Future[int]:
        """Edit from another thread, at a time of the test's choice. The result is the revision in the answer."""
        update = Update(client, USER, changes)

        def event() -> DraftEvent:
            over = self.draft._storage.since(revision, self.draft._state)
            return Edit("c", client, revision, (update,), over, at)

        return self.threads.submit(self.mailbox.ask, event, lambda: self.draft._state.revision)

    def write(self, text: str, epoch: int | None = None) -> None:
        epoch = self.state.epoch if epoch is None else epoch
        self.draft.engine_sent(Wrote(epoch, text, (Token(1, len(text), -1.0),), "t"))
