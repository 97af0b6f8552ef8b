"""Session: one open draft, as connections and the engine talk to it.

Owns what each request becomes: an event for the draft's actor and the answer after it. Each request but `seen` blocks
until the actor has answered. Knows nothing of sockets, HTTP or SQL.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from generator.drafts.live_draft import Actor
from generator.drafts.services import Surroundings
from generator.wire.messages import Chunk, Ended, Failed, Rolled
from stories.draft.events import (
    Configure,
    DraftEvent,
    Edit,
    Hold,
    Left,
    Moved,
    Pause,
    Resent,
    Rewind,
    Start,
    Stopped,
    Tick,
    Viewed,
    Wrote,
)
from stories.errors import Refused
from stories.storage.records import StoredDraft
from stories.text.changes import ChangeSet
from stories.text.update import USER, Token, Update
from stories.text.utf16 import to_units

IDLE_SECONDS = 60.0


class Session:
    def __init__(self, stored: StoredDraft, around: Surroundings) -> None:
        self.draft, self.story, self.owner, self.mode = stored.id, stored.story, stored.owner, stored.mode
        self._around = around
        self._actor = Actor(stored, around)
        self.touched = time.monotonic()

    def open(self, connection: str, revision: int | None, join: Callable[[], None]) -> dict[str, Any]:
        def answer() -> dict[str, Any]:
            body = self._opened(revision)
            join()
            self._actor.publish_state(always=True)
            return body

        return self._actor.ask(lambda: Viewed(connection, self._actor.state.revision, time.monotonic()), answer)

    def close(self, connection: str) -> None:
        self._actor.ask(lambda: Left(connection, time.monotonic()), _nothing)

    def left(self, connection: str) -> None:
        """Like `close`, for those who don't wait: the connection is gone."""
        self._actor.post(lambda: Left(connection, time.monotonic()))

    def edit(
        self,
        connection: str,
        client: str,
        revision: int,
        updates: Sequence[tuple[ChangeSet, tuple[tuple[int, str], ...]]],
    ) -> dict[str, Any]:
        received = time.monotonic()
        pushed = tuple(Update(client, USER, changes, authors=authors) for changes, authors in updates)

        def event() -> DraftEvent:
            self._actor.report.edited(received)
            return Edit(connection, client, revision, pushed, self._actor.log_since(revision), time.monotonic())

        return self._actor.ask(event, lambda: {"revision": self._actor.state.revision})

    def hold(self, connection: str, composing: bool) -> None:
        self._actor.ask(lambda: Hold(connection, composing, time.monotonic()), _nothing)

    def start(self, limit: int | None) -> dict[str, Any]:
        def event() -> DraftEvent:
            self._around.entry(self.mode, self._actor.state.settings.model)
            return Start(limit, _new_seed(), time.monotonic())

        return self._actor.ask(event, lambda: {"epoch": self._actor.state.epoch})

    def pause(self) -> dict[str, Any]:
        return self._actor.ask(Pause, lambda: {"revision": self._actor.state.revision})

    def configure(self, changes: dict[str, Any]) -> dict[str, Any]:
        def event() -> DraftEvent:
            settings = self._around.configured(self.mode, self._actor.state.settings, changes)
            return Configure(settings, time.monotonic())

        return self._actor.ask(event, lambda: self._actor.report.settings(self._actor.state))

    def rewind(self, revision: int, start: int | None) -> dict[str, Any]:
        return self._rewind(revision, start, retry=False)

    def retry(self, revision: int) -> dict[str, Any]:
        return self._rewind(revision, None, retry=True)

    def alternatives(self, revision: int, at: int) -> dict[str, Any]:
        request = self._actor.ask(
            lambda: Tick(time.monotonic()),
            lambda: self._actor.scribe.ask_alternatives(self._actor.state, self._actor.log_since(revision), at),
        )
        return self._actor.scribe.alternatives(request)

    def seen(self, connection: str, revision: int) -> None:
        """Returns at once: nothing depends on when this is heard. What tells nothing new costs no turn, since every
        page of a draft says the same."""
        if self._actor.state.would_notice(connection, revision):
            self._actor.post(lambda: Viewed(connection, min(revision, self._actor.state.revision), time.monotonic()))

    @property
    def is_writing(self) -> bool:
        """Whether a run is under way."""
        return self._actor.state.writes

    def phase(self) -> str:
        """The draft's state in one word, as lists show it."""
        phase: str = self._actor.report.state(self._actor.state, self._actor.scribe, time.monotonic())["state"]
        return phase

    def word_count(self) -> int:
        return len(self._actor.state.text.split())

    # --- what the engine says; never blocks ---

    def engine_said(self, event: Chunk | Ended | Rolled | Failed) -> None:
        self._actor.post(lambda: _as_draft_event(event))

    def engine_up(self) -> None:
        self._actor.post(lambda: Resent(time.monotonic()))

    def surroundings_changed(self) -> None:
        """The engine went down, a model's status or the menu changed: the state line may read otherwise."""
        self._actor.post(lambda: Tick(time.monotonic()))

    def is_idle(self, now: float) -> bool:
        state = self._actor.state
        return not (state.viewers or state.writes or self._actor.num_turns) and now - self.touched > IDLE_SECONDS

    def end(self) -> None:
        """Ends the actor after what is already in its inbox."""
        self._actor.end()

    def joined(self) -> None:
        """Returns when the actor has ended."""
        self._actor.joined()

    def _opened(self, revision: int | None) -> dict[str, Any]:
        state = self._actor.state
        body = {
            "revision": state.revision,
            "epoch": state.epoch,
            "state": self._actor.report.state(state, self._actor.scribe, time.monotonic())["state"],
            "settings": self._actor.report.settings(state),
        }
        if revision is not None:
            with suppress(Refused):  # too far behind: the text as it is now
                return body | {"updates": [update.to_json() for update in self._actor.log_since(revision)]}
        return body | {"text": state.text, "authors": state.spans.runs()}

    def _rewind(self, revision: int, start: int | None, retry: bool) -> dict[str, Any]:
        kept = secrets.token_hex(16)

        def event() -> DraftEvent:
            over = self._actor.log_since(revision)
            if retry:
                self._around.entry(self.mode, self._actor.state.settings.model)
            return Rewind(start, over, kept, retry, _new_seed(), time.monotonic())

        return self._actor.ask(event, lambda: {"revision": self._actor.state.revision, "kept": kept})


def _nothing() -> None:
    """The answer of events that have none."""


def _new_seed() -> int:
    return secrets.randbits(53)


def _as_draft_event(event: Chunk | Ended | Rolled | Failed) -> DraftEvent:
    match event:
        case Chunk():
            tokens = tuple(Token(*token) for token in event.tokens)
            return Wrote(event.epoch, to_units(event.text), tokens, event.tokenizer)
        case Rolled():
            return Moved(event.epoch, event.base)
        case Ended():
            return Stopped(event.epoch, "ended")
        case Failed():
            return Stopped(event.epoch, "failed", event.message)
