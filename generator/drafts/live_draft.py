"""Live draft: the requests that pages make of one draft in memory.

Owns what each request becomes: an event for the reducer, and an answer once it is durable. A new request is a public
method here, with the private method that builds its event. Knows nothing of sockets, HTTP or SQL.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

from generator.drafts.draft_thread import DraftThread
from generator.drafts.settings import merged_settings
from generator.engine_link.alternatives import Question, question
from generator.wire.messages import AlternativesReady
from stories.draft import events
from stories.draft.events import DraftEvent, Edit
from stories.errors import Behind
from stories.text.changes import ChangeSet
from stories.text.update import USER, Update

Body = dict[str, Any]
AuthoredChange = tuple[ChangeSet, tuple[tuple[int, str], ...]]


class LiveDraft(DraftThread):
    """Requests may come from any thread. Each waits until its effect is durable, or raises Refused. `left` and `seen`
    do not wait. The private methods run on the draft's own thread."""

    # --- requests of pages, from any thread ---

    def open(self, connection: str, revision: int | None, join: Callable[[], None]) -> Body:
        """Return the draft, or the updates since `revision`. `join` is called before any later update is sent."""
        return self._mailbox.ask(partial(self._viewed, connection, None), partial(self._opened, revision, join))

    def close(self, connection: str) -> None:
        self._mailbox.ask(lambda: events.Left(connection, time.monotonic()), _nothing)

    def left(self, connection: str) -> None:
        """Like `close` without waiting: the connection is gone."""
        self._mailbox.post(lambda: events.Left(connection, time.monotonic()))

    def edit(self, connection: str, client: str, revision: int, changes: Sequence[AuthoredChange]) -> Body:
        """Apply changes that were made for `revision`. Returns the revision after them."""
        updates = tuple(Update(client, USER, change, authors=authors) for change, authors in changes)
        received = time.monotonic()
        return self._mailbox.ask(partial(self._edited, connection, client, revision, updates, received), self._revision)

    def hold(self, connection: str, composing: bool) -> None:
        self._mailbox.ask(lambda: events.Hold(connection, composing, time.monotonic()), _nothing)

    def start(self, limit: int | None) -> Body:
        """Start a run of at most `limit` tokens (None: without end), or set the limit of the present run."""
        return self._mailbox.ask(partial(self._started, limit), lambda: {"epoch": self._state.epoch})

    def pause(self) -> Body:
        """End the run. Returns the revision, after which nothing of the run is added."""
        return self._mailbox.ask(events.Pause, self._revision)

    def configure(self, changes: Body) -> Body:
        """Merge `changes` into the settings. Returns the new settings."""
        return self._mailbox.ask(partial(self._configured, changes), self._settings)

    def rewind(self, revision: int, start: int | None) -> Body:
        """Delete the text from `start` on, or the model's last stretch. The old text stays in a sibling draft."""
        return self._rewind(revision, start, retry=False)

    def retry(self, revision: int) -> Body:
        """Rewind the model's last stretch and let the model write again."""
        return self._rewind(revision, None, retry=True)

    def _rewind(self, revision: int, start: int | None, retry: bool) -> Body:
        kept = secrets.token_hex(16)
        return self._mailbox.ask(partial(self._rewound, revision, start, kept, retry), self._revision) | {"kept": kept}

    def alternatives(self, revision: int, at: int) -> Body:
        """Return the likeliest tokens at offset `at` of the text at `revision`."""
        asked, waiting = self._mailbox.ask(_nothing, partial(self._ask_alternatives, revision, at))
        return asked.answer(self._services.engine.answer(waiting))

    def seen(self, connection: str, revision: int) -> None:
        """Note that a page shows everything up to `revision`. All pages of a draft say the same: news alone counts."""
        if self.view.state.would_notice(connection, revision):
            self._mailbox.post(partial(self._viewed, connection, revision))

    # --- what a request becomes: events ---

    def _viewed(self, connection: str, revision: int | None) -> DraftEvent:
        head = self._state.revision
        return events.Viewed(connection, head if revision is None else min(revision, head), time.monotonic())

    def _edited(
        self, connection: str, client: str, revision: int, updates: tuple[Update, ...], received: float
    ) -> DraftEvent:
        self._status_line.edited(received)
        over = self._storage.since(revision, self._state)
        return Edit(connection, client, revision, updates, over, time.monotonic())

    def _started(self, limit: int | None) -> DraftEvent:
        self._usable_entry()
        return events.Start(limit, _new_seed(), time.monotonic())

    def _configured(self, changes: Body) -> DraftEvent:
        settings = merged_settings(self._services.menu, self._name.mode, self._state.settings, changes)
        return events.Configure(settings, time.monotonic())

    def _rewound(self, revision: int, start: int | None, kept: str, retry: bool) -> DraftEvent:
        over = self._storage.since(revision, self._state)
        if retry:
            self._usable_entry()
        return events.Rewind(start, over, kept, retry, _new_seed(), time.monotonic())

    # --- what a request is answered, once it is durable ---

    def _opened(self, revision: int | None, join: Callable[[], None]) -> Body:
        body = {
            "revision": self._state.revision,
            "epoch": self._state.epoch,
            "state": self._status_line.phase(self._state, self._engine.status(), time.monotonic()),
            "settings": self._settings(),
            **self._content(revision),
        }
        join()
        self._publish_state(always=True)
        return body

    def _content(self, revision: int | None) -> Body:
        if revision is not None:
            with suppress(Behind):  # then the whole text
                return {"updates": [update.to_json() for update in self._storage.since(revision, self._state)]}
        return {"text": self._state.text, "authors": self._state.spans.runs()}

    def _revision(self) -> Body:
        return {"revision": self._state.revision}

    def _settings(self) -> Body:
        return self._state.settings.to_json()

    def _ask_alternatives(self, revision: int, at: int) -> tuple[Question, Future[AlternativesReady]]:
        over = self._storage.since(revision, self._state)
        asked = question(self._state, self._name, self._usable_entry(), over, at)
        return asked, self._services.engine.ask(asked.command)


def _nothing() -> None:
    """A request without an event, or without an answer."""


def _new_seed() -> int:
    return secrets.randbits(53)
