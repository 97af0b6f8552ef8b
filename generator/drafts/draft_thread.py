"""Draft thread: one draft's state, and the thread on which it changes.

Owns the order of a turn: take a batch of requests, reduce, commit, and only then publish, tell the engine and answer.
So no page ever shows text that is not durable. Knows nothing of which requests there are.
"""

from __future__ import annotations

import logging
import threading
import time

from generator.drafts.batch import BatchResult, events_of
from generator.drafts.draft_storage import DraftStorage
from generator.drafts.mailbox import Mailbox, Request
from generator.drafts.page_feed import PageFeed
from generator.drafts.services import Services
from generator.drafts.status_line import StatusLine
from generator.drafts.view import DraftView
from generator.engine_link.engine_link import EngineLink, SequenceName
from generator.models.menu import MenuEntry
from stories.draft import events
from stories.draft.events import DraftEvent, Edit, FromEngine
from stories.draft.reducer import reduce
from stories.draft.result import Result
from stories.draft.state import DraftState, restore
from stories.errors import Refused, StoreError
from stories.storage.records import StoredDraft
from stories.text.rebase import edit_work

IDLE_SECONDS = 60.0
LONG_WORK = 1_000  # sections of an edit: about 50 ms, in which no other draft would be served

_UNEXPECTED = "This could not be done. The server's log says why."

log = logging.getLogger(__name__)


class DraftThread:
    """Other threads read `view`, which each turn replaces, and never the state itself."""

    def __init__(self, stored: StoredDraft, services: Services) -> None:
        self.draft, self.story, self.owner = stored.id, stored.story, stored.owner
        self._name = SequenceName(stored.id, stored.owner, stored.mode)
        self._services = services
        self._state = restore(stored.id, stored.revision, stored.text, stored.spans, stored.head)
        self._storage = DraftStorage(self._state, services.storage)
        self._feed = PageFeed(self.draft, services.publish)
        self._status_line = StatusLine(self.draft, services.reacted)
        self._engine = EngineLink(self._name, services.engine)
        self._mailbox = Mailbox(services.gather_seconds)
        self._ticked = self.touched = time.monotonic()
        self.view = self._new_view()
        self._thread = threading.Thread(target=self._run, name=f"draft-{self.draft[:8]}", daemon=True)
        self._thread.start()

    def engine_sent(self, event: FromEngine) -> None:
        self._mailbox.post(lambda: event)

    def engine_restarted(self) -> None:
        self._mailbox.post(lambda: events.EngineRestarted(time.monotonic()))

    def refresh(self) -> None:
        """Look again: the engine's state, a model's status or the menu has changed."""
        self._mailbox.post(self._tick)

    def is_idle(self, now: float) -> bool:
        """Whether the draft has neither viewers nor a run nor requests, and was not used for a while."""
        state = self.view.state
        return not (state.viewers or state.is_writing or len(self._mailbox)) and now - self.touched > IDLE_SECONDS

    def end(self) -> None:
        """End the thread after the requests that wait now."""
        self._mailbox.end()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    # --- the draft's own thread ---

    def _tick(self) -> DraftEvent:
        self._ticked = time.monotonic()
        return events.Tick(self._ticked)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = self._take()
            try:
                self._handle(batch)
            except Exception:
                log.exception("a request to draft %s failed", self.draft)
                for request in batch:
                    request.refuse("storage", _UNEXPECTED)
            self.view = self._new_view()
        self._engine.drop()
        self._mailbox.close()

    def _take(self) -> tuple[list[Request], bool]:
        """Return the next batch of requests, with a tick where one is due, and whether it is the last batch."""
        deadline = self._state.deadline(self._ticked)
        pulse = self._status_line.next_pulse(self._state, time.monotonic())
        due = min((at for at in (deadline, pulse) if at is not None), default=None)
        batch, is_last = self._mailbox.take(self._feed.shown, deadline, due)
        # A hold may have ended while requests gathered or were stored: without a tick nothing would look again.
        if not (batch or is_last) or (deadline is not None and deadline <= time.monotonic()):
            batch.append(Request(self._tick))
        return batch, is_last

    def _handle(self, batch: list[Request]) -> None:
        """Apply the batch, store it, then publish, tell the engine and answer."""
        before, made = self._state, BatchResult()
        try:
            for request, event in events_of(batch):
                try:
                    result = self._reduce(event)
                except Refused as refusal:
                    request.refuse(refusal.code, refusal.message)
                    continue
                self._state = result.state
                self._storage.applied(result.updates)
                made.add(request, result)
            self._storage.commit(before, self._state, made.updates, made.forks)
        except StoreError as error:
            self._revert(before, error)
            for request in made.accepted:
                request.refuse(error.code, error.message)
            return
        except Exception:
            self._state = before
            self._storage.discard()
            for request in batch:
                request.refuse("invalid", _UNEXPECTED)
            raise
        if made.updates:
            self._status_line.wrote(made.updates, self._state, time.monotonic())
            self._feed.updates(before.revision, made.updates, self._state)
        self._tell_engine()
        self.view = self._new_view()
        for request in made.accepted:
            request.succeed()
        self._publish_state()

    def _reduce(self, event: DraftEvent | None) -> Result:
        if event is None:
            return Result(self._state)
        if isinstance(event, Edit) and edit_work(event.updates, event.over) > LONG_WORK:
            return self._services.compute(reduce, self._state, event)
        return reduce(self._state, event)

    def _revert(self, durable: DraftState, error: StoreError) -> None:
        log.error("draft %s could not be stored: %s", self.draft, error)
        self._state = reduce(self._state, events.StoreFailed(durable, f"Not saved: {error}")).state
        self._storage.revert(self._state)
        self._tell_engine()
        self._publish_state(always=True)

    def _tell_engine(self) -> None:
        """Send the engine what it needs to know of the present state."""
        try:
            entry = self._entry() if self._engine.needs_context(self._state) else None
        except Refused as refusal:
            self._state = reduce(self._state, events.RunStopped(self._state.epoch, "failed", refusal.message)).state
            entry = None
        base = self._engine.tell(self._state, entry)
        if base is not None:
            self._state = reduce(self._state, events.ContextSent(base)).state

    def _publish_state(self, always: bool = False) -> None:
        body = self._status_line.due(self._state, self._engine.status(), time.monotonic(), always)
        self._feed.state(body)

    def _entry(self) -> MenuEntry:
        """The menu's entry of the draft's model. Raises Refused where it cannot write."""
        return self._services.menu.usable(self._name.mode, self._state.settings.model)

    def _new_view(self) -> DraftView:
        return DraftView(self._state, self._status_line.phase(self._state, self._engine.status(), time.monotonic()))
