"""Draft thread: one draft's state, and the thread on which it changes.

Owns the order of a turn: take a batch of requests, reduce, commit, and only then publish, tell the engine and answer.
So no page ever shows text that is not durable. Knows nothing of which requests there are.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from generator.drafts.draft_storage import DraftStorage
from generator.drafts.mailbox import Mailbox, Request
from generator.drafts.services import Services
from generator.drafts.status_line import StatusLine
from generator.drafts.view import DraftView
from generator.engine_link.order import SequenceName
from generator.models.menu import MenuEntry
from stories.draft import events
from stories.draft.events import DraftEvent, Edit, FromEngine, Wrote
from stories.draft.reducer import reduce
from stories.draft.result import Fork, Result
from stories.draft.state import DraftState, restore
from stories.errors import Refused, StoreError
from stories.storage.records import StoredDraft
from stories.text.rebase import edit_work
from stories.text.update import MODEL_CLIENT, Update

IDLE_SECONDS = 60.0
SENT_AT_ONCE = 64  # update events
LONG_WORK = 1_000  # sections of an edit: about 50 ms, in which no other draft would be served

_UNEXPECTED = "This could not be done. The server's log says why."

log = logging.getLogger(__name__)


@dataclass(slots=True)
class BatchResult:
    """The updates and forks of a batch so far, and the requests that were accepted."""

    updates: list[Update] = field(default_factory=list)
    forks: list[Fork] = field(default_factory=list)
    accepted: list[Request] = field(default_factory=list)

    def add(self, request: Request, result: Result) -> None:
        """Add what an accepted request led to."""
        self.updates += result.updates
        self.forks += result.forks
        self.accepted.append(request)


class DraftThread:
    """Other threads read `view`, which each turn replaces, and never the state itself."""

    def __init__(self, stored: StoredDraft, services: Services) -> None:
        self.draft, self.story, self.owner = stored.id, stored.story, stored.owner
        self._name = SequenceName(stored.id, stored.owner, stored.mode)
        self._services = services
        self._state = restore(stored.id, stored.revision, stored.text, stored.spans, stored.head)
        self._storage = DraftStorage(self._state, services.storage)
        self._status_line = StatusLine(self.draft, services.reacted)
        self._engine = services.engine.link(self._name)
        self._entry: MenuEntry | None = None  # the menu entry that was used last
        self._mailbox = Mailbox(services.gather_seconds)
        self._ticked = self.touched = time.monotonic()
        self._is_handling = False  # whether a batch is being handled, whose commit may take long
        self._shown = 0.0  # when pages last got text of a model
        self.view = self._new_view()
        self._thread = threading.Thread(target=self._run, name=f"draft-{self.draft[:8]}", daemon=True)
        self._thread.start()

    def engine_sent(self, event: FromEngine) -> None:
        self._mailbox.post(lambda: event)

    def engine_restarted(self) -> None:
        self._mailbox.post(lambda: events.EngineRestarted(time.monotonic()))

    def refresh(self) -> None:
        """Look again: the engine's state, a model's status or the menu has changed."""
        self._mailbox.post(self._refreshed)

    def is_idle(self, now: float) -> bool:
        """Whether the draft has neither viewers nor a run nor requests, and was not used for a while."""
        state, is_busy = self.view.state, self._is_handling or len(self._mailbox) > 0
        return not (state.viewers or state.is_writing or is_busy) and now - self.touched > IDLE_SECONDS

    def end(self) -> None:
        """End the thread after the requests that wait now."""
        self._mailbox.end()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    # --- the draft's own thread ---

    def _refreshed(self) -> DraftEvent:
        self._entry = None
        return self._tick()

    def _tick(self) -> DraftEvent:
        self._ticked = time.monotonic()
        return events.Tick(self._ticked)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            batch, is_last = self._take()
            self._is_handling = True
            try:
                self._handle(batch)
                self._look()
            except Exception:
                log.exception("a request to draft %s failed", self.draft)
                for request in batch:
                    request.refuse("storage", _UNEXPECTED)
            self._is_handling = False
        self._engine.drop()
        self._mailbox.close()

    def _take(self) -> tuple[list[Request], bool]:
        """Return the next batch of requests, with a tick where one is due, and whether it is the last batch."""
        deadline = self._state.deadline(self._ticked)
        pulse = self._status_line.next_pulse(self._state, time.monotonic())
        due = min((at for at in (deadline, pulse) if at is not None), default=None)
        batch, is_last = self._mailbox.take(self._shown, deadline, due)
        # A hold may have ended while requests gathered or were stored. Without this tick, decoding would stay held.
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
            self._look()
            for request in batch:
                request.refuse("invalid", _UNEXPECTED)
            raise
        self._look()  # before pages are told: they may answer at once
        if made.updates:
            self._status_line.wrote(made.updates, self._state, time.monotonic())
            self._publish_updates(before.revision, made.updates)
        self._tell_engine()
        self._look()
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
        self._look()
        self._publish_state(always=True)

    def _tell_engine(self) -> None:
        """Send the engine what it needs to know of the present state."""
        try:
            entry = self._known_entry() if self._engine.needs_context(self._state) else None
        except Refused as refusal:
            self._state = reduce(self._state, events.RunStopped(self._state.epoch, "failed", refusal.message)).state
            entry = None
        base = self._engine.tell(self._state, entry)
        if base is not None:
            self._state = reduce(self._state, events.ContextSent(base)).state

    def _publish_updates(self, revision: int, updates: Sequence[Update]) -> None:
        """Send the updates that lead from `revision` to the present state, one event each (docs/decisions/0002)."""
        if any(update.client == MODEL_CLIENT for update in updates):
            self._shown = time.monotonic()
        for number, update in enumerate(updates, revision):
            body = {"draft": self.draft, "revision": number, "epoch": self._state.epoch, "updates": [update.to_json()]}
            self._services.publish(self.draft, "updates", body)
            if (number - revision) % SENT_AT_ONCE == SENT_AT_ONCE - 1:
                time.sleep(0)  # lets the server send them: a page is cut off when too many events wait for it

    def _publish_state(self, always: bool = False) -> None:
        body = self._status_line.due(self._state, self._engine.status(), time.monotonic(), always)
        if body is not None:
            self._services.publish(self.draft, "state", body)

    def _usable_entry(self) -> MenuEntry:
        """Ask the menu for the draft's model. Raises Refused where it cannot write."""
        self._entry = self._services.menu.usable(self._name.mode, self._state.settings.model)
        return self._entry

    def _known_entry(self) -> MenuEntry:
        """The entry of the draft's model, asked for again when the model or the menu has changed. Raises Refused."""
        is_known = self._entry is not None and self._entry.name == self._state.settings.model
        return self._entry if self._entry is not None and is_known else self._usable_entry()

    def _look(self) -> None:
        """Replace the view: other threads now see the present state."""
        self.view = self._new_view()

    def _new_view(self) -> DraftView:
        return DraftView(self._state, self._status_line.phase(self._state, self._engine.status(), time.monotonic()))


def events_of(batch: Sequence[Request]) -> Iterator[tuple[Request, DraftEvent | None]]:
    """Yield each request with its event. Adjacent model texts of one epoch become one event.

    The event of a request with a waiting caller is built only after all earlier events are handled, because it may read
    the log.
    A request whose event cannot be built is refused.
    """
    text: tuple[Request, Wrote] | None = None
    for request in batch:
        if text and request.done:
            yield text
            text = None
        try:
            event: DraftEvent | None = request.event()
        except Refused as refusal:
            request.refuse(refusal.code, refusal.message)
            continue
        if text and isinstance(event, Wrote) and event.epoch == text[1].epoch:
            text = (request, text[1].joined(event))
            continue
        if text:
            yield text
        text = (request, event) if isinstance(event, Wrote) else None
        if not text:
            yield request, event
    if text:
        yield text
