"""Session: the serial actor of one open draft.

Owns the draft's state while it is open: takes events one after another, reduces, commits, and only then
publishes, answers and tells the engine. Knows nothing of sockets, HTTP or SQL; what it needs from
outside comes in as `Surroundings`.
"""

from __future__ import annotations

import logging
import queue
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from generator.errors import SessionError
from generator.messages import Chunk, Ended, Failed, Rolled
from generator.report import Report
from generator.scribe import Scribe
from generator.surroundings import Surroundings
from stories.changes import ChangeSet
from stories.draft import DraftState, new_head, restore
from stories.events import (
    Configure,
    Edit,
    Event,
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
from stories.reducer import Fork, Refused, reduce
from stories.store import Commit, NewDraft, StoredDraft, StoreError
from stories.update import USER, Token, Update
from stories.utf16 import to_units

MAX_BEHIND = 5_000
RECENT_UPDATES = 1_000
PUBLISH_SECONDS = 0.03
IDLE_SECONDS = 60.0

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Turn:
    """Something to do in the actor's turn: an event to reduce, then an answer to give after the commit."""

    event: Callable[[], Event]
    answer: Callable[[], Any] | None = None
    done: Future[Any] | None = None


class Session:
    def __init__(self, stored: StoredDraft, around: Surroundings) -> None:
        self.draft, self.story, self.owner, self.mode = stored.id, stored.story, stored.owner, stored.mode
        self._around = around
        self._state = restore(stored.id, stored.revision, stored.text, stored.spans, stored.head)
        self._head = self._state.head()
        self._recent: deque[Update] = deque(maxlen=RECENT_UPDATES)
        self._inbox: queue.Queue[_Turn | None] = queue.Queue()
        self._report = Report(self.draft)
        self._scribe = Scribe(self.draft, self.owner, self.mode, around)
        self._published = 0.0
        self.touched = time.monotonic()
        self._thread = threading.Thread(target=self._loop, name=f"draft-{self.draft[:8]}", daemon=True)
        self._thread.start()

    # --- what connections ask for; each call blocks until the actor has answered ---

    def open(self, connection: str, revision: int | None, join: Callable[[], None]) -> dict[str, Any]:
        def answer() -> dict[str, Any]:
            body = self._opened(revision)
            join()
            self._publish_state(always=True)
            return body

        return self._ask(lambda: Viewed(connection, self._state.revision, time.monotonic()), answer)

    def close(self, connection: str) -> None:
        self._ask(lambda: Left(connection, time.monotonic()))

    def edit(
        self,
        connection: str,
        client: str,
        revision: int,
        updates: Sequence[tuple[ChangeSet, tuple[tuple[int, str], ...]]],
    ) -> dict[str, Any]:
        received = time.monotonic()
        pushed = tuple(Update(client, USER, changes, authors=authors) for changes, authors in updates)

        def event() -> Event:
            self._report.edited(received)
            return Edit(connection, client, revision, pushed, self._log_since(revision), time.monotonic())

        return self._ask(event, lambda: {"revision": self._state.revision})

    def hold(self, connection: str, composing: bool) -> None:
        self._ask(lambda: Hold(connection, composing, time.monotonic()))

    def start(self, limit: int | None) -> dict[str, Any]:
        def event() -> Event:
            self._around.entry(self.mode, self._state.settings.model)
            return Start(limit, _new_seed(), time.monotonic())

        return self._ask(event, lambda: {"epoch": self._state.epoch})

    def pause(self) -> dict[str, Any]:
        return self._ask(Pause, lambda: {"revision": self._state.revision})

    def configure(self, changes: dict[str, Any]) -> dict[str, Any]:
        def event() -> Event:
            settings = self._around.configured(self.mode, self._state.settings, changes)
            return Configure(settings, time.monotonic())

        return self._ask(event, lambda: self._report.settings(self._state))

    def rewind(self, revision: int, start: int | None) -> dict[str, Any]:
        return self._rewind(revision, start, retry=False)

    def retry(self, revision: int) -> dict[str, Any]:
        return self._rewind(revision, None, retry=True)

    def alternatives(self, revision: int, at: int) -> dict[str, Any]:
        request = self._ask(
            lambda: Tick(time.monotonic()),
            lambda: self._scribe.ask_alternatives(self._state, self._log_since(revision), at),
        )
        return self._scribe.alternatives(request)

    def seen(self, connection: str, revision: int) -> None:
        self._ask(lambda: Viewed(connection, min(revision, self._state.revision), time.monotonic()))

    def phase(self) -> str:
        """The draft's state in one word, as lists show it."""
        phase: str = self._report.state(self._state, self._scribe, time.monotonic())["state"]
        return phase

    def word_count(self) -> int:
        return len(self._state.text.split())

    # --- what the engine says; never blocks ---

    def engine_said(self, event: Chunk | Ended | Rolled | Failed) -> None:
        self._inbox.put(_Turn(lambda: _as_draft_event(event)))

    def engine_up(self) -> None:
        self._inbox.put(_Turn(lambda: Resent(time.monotonic())))

    def surroundings_changed(self) -> None:
        """The engine went down, a model's status or the menu changed: the state line may read otherwise."""
        self._inbox.put(_Turn(lambda: Tick(time.monotonic())))

    def is_idle(self, now: float) -> bool:
        state = self._state
        return not state.viewers and not state.writes and self._inbox.empty() and now - self.touched > IDLE_SECONDS

    def end(self) -> None:
        """Ends the actor after what is already in its inbox."""
        self._inbox.put(None)

    def joined(self) -> None:
        """Returns when the actor has ended."""
        self._thread.join()

    # --- the actor ---

    def _ask(self, event: Callable[[], Event], answer: Callable[[], Any] = dict) -> Any:
        done: Future[Any] = Future()
        self._inbox.put(_Turn(event, answer, done))
        return done.result()

    def _loop(self) -> None:
        while True:
            turns = self._take()
            ending = None in turns
            try:
                self._play([turn for turn in turns if turn is not None])
            except Exception:
                log.exception("a turn of draft %s failed", self.draft)
            if ending:
                self._scribe.forget()
                return

    def _take(self) -> list[_Turn | None]:
        """The turns that wait, or a tick when one is due. Model text collects for `PUBLISH_SECONDS`."""
        now = time.monotonic()
        deadline = self._state.deadline(now)
        pulse = self._report.next_pulse(self._state, now)
        due = min((at for at in (deadline, pulse) if at is not None), default=None)
        try:
            turns: list[_Turn | None] = [self._inbox.get(timeout=None if due is None else max(0.0, due - now))]
        except queue.Empty:
            return [_Turn(lambda: Tick(time.monotonic()))]
        while True:
            wait = self._published + PUBLISH_SECONDS - time.monotonic()
            patient = wait > 0 and all(turn is not None and turn.done is None for turn in turns)
            try:
                turns.append(self._inbox.get(timeout=wait) if patient else self._inbox.get_nowait())
            except queue.Empty:
                return turns

    def _play(self, turns: list[_Turn]) -> None:
        before, updates, forks = self._state, list[Update](), list[Fork]()
        answered: list[_Turn] = []
        wrote: Wrote | None = None
        try:
            for turn in turns:
                event = self._event_of(turn)
                if isinstance(event, Wrote) and wrote and wrote.epoch == event.epoch:
                    wrote = _joined(wrote, event)
                    continue
                if wrote:
                    self._reduce(wrote, updates, forks)
                wrote = event if isinstance(event, Wrote) else None
                if event and not wrote and self._reduce(event, updates, forks, turn):
                    answered.append(turn)
            if wrote:
                self._reduce(wrote, updates, forks)
            self._commit(before, updates, forks)
        except StoreError as error:
            self._revert(before, error)
            self._refuse(answered, SessionError("storage", str(error)))
            return
        except Exception:
            self._state = before
            self._recent.clear()
            self._refuse(turns, SessionError("invalid", "this could not be done; the server's log says why"))
            raise
        self._publish(before.revision, updates)
        self._tell_engine()
        for turn in answered:
            self._answer(turn)
        self._publish_state()

    def _event_of(self, turn: _Turn) -> Event | None:
        try:
            return turn.event()
        except (Refused, SessionError) as refusal:
            self._refuse([turn], SessionError(refusal.code, refusal.message))
            return None

    def _reduce(self, event: Event, updates: list[Update], forks: list[Fork], turn: _Turn | None = None) -> bool:
        try:
            step = reduce(self._state, event)
        except Refused as refusal:
            if turn:
                self._refuse([turn], SessionError(refusal.code, refusal.message))
            return False
        self._state = step.state
        self._recent.extend(step.updates)
        updates.extend(step.updates)
        forks.extend(step.forks)
        return True

    def _commit(self, before: DraftState, updates: Sequence[Update], forks: Sequence[Fork]) -> None:
        state, head = self._state, self._state.head()
        if not updates and not forks and head == self._head:
            return
        siblings = tuple(self._sibling(fork) for fork in forks)
        self._around.committer.commit(
            Commit(self.draft, before.revision, tuple(updates), head, state.text, state.spans, siblings)
        )
        self._head = head

    def _sibling(self, fork: Fork) -> NewDraft:
        head = new_head(fork.settings, fork.spans)
        return NewDraft(fork.draft, fork.settings.model, head, fork.text, fork.spans, self.draft, fork.forked_at)

    def _revert(self, before: DraftState, error: StoreError) -> None:
        """Back to what is durable: nobody may build on text that a restart would lose."""
        log.error("draft %s could not be stored: %s", self.draft, error)
        self._recent.clear()
        self._state = replace(before, run=None, outcome="failed", reason=f"Not saved: {error}", granted=0)
        self._tell_engine()
        self._publish_state(always=True)

    def _tell_engine(self) -> None:
        try:
            self._scribe.tell(self._state, self._moved)
        except SessionError as error:
            self._state = reduce(self._state, Stopped(self._state.epoch, "failed", error.message)).state

    def _moved(self, base: int) -> DraftState:
        self._state = reduce(self._state, Moved(self._state.epoch, base - self._state.set_base)).state
        self._state = replace(self._state, set_base=self._state.base)
        return self._state

    # --- answers and publications ---

    def _answer(self, turn: _Turn) -> None:
        if turn.done is None:
            return
        try:
            turn.done.set_result(turn.answer() if turn.answer else None)
        except (SessionError, Refused) as error:
            turn.done.set_exception(SessionError(error.code, error.message))
        except Exception as error:  # noqa: BLE001 -- whoever waits must be answered; the loop logs it
            turn.done.set_exception(error)

    def _refuse(self, turns: Sequence[_Turn], error: SessionError) -> None:
        for turn in turns:
            if turn.done is not None and not turn.done.done():
                turn.done.set_exception(error)

    def _publish(self, revision: int, updates: Sequence[Update]) -> None:
        if not updates:
            return
        self._published = time.monotonic()
        self._report.wrote(updates, self._state, self._published)
        body = {
            "draft": self.draft,
            "revision": revision,
            "epoch": self._state.epoch,
            "updates": [update_json(update) for update in updates],
        }
        self._around.publish(self.draft, "updates", body)

    def _publish_state(self, always: bool = False) -> None:
        now = time.monotonic()
        body = self._report.due(self._state, self._scribe, now, always)
        if body is not None:
            self._around.publish(self.draft, "state", body)

    def _opened(self, revision: int | None) -> dict[str, Any]:
        state = self._state
        body = {
            "revision": state.revision,
            "epoch": state.epoch,
            "state": self._report.state(state, self._scribe, time.monotonic())["state"],
            "settings": self._report.settings(state),
        }
        if revision is not None and 0 <= state.revision - revision <= MAX_BEHIND:
            return body | {"updates": [update_json(update) for update in self._log_since(revision)]}
        return body | {"text": state.text, "authors": state.spans.runs()}

    def _log_since(self, revision: int) -> tuple[Update, ...]:
        """The updates from `revision` to the head. Raises Refused `behind` where the log doesn't reach."""
        count = self._state.revision - revision
        if not 0 <= count <= MAX_BEHIND:
            raise Refused("behind", "this page is too far behind; open the draft again")
        recent = list(self._recent)
        if count <= len(recent):
            return tuple(recent[len(recent) - count :])
        older = self._around.stored_updates(self.draft, revision, self._state.revision - len(recent))
        return (*older, *recent)

    def _rewind(self, revision: int, start: int | None, retry: bool) -> dict[str, Any]:
        kept = secrets.token_hex(16)

        def event() -> Event:
            over = self._log_since(revision)
            if retry:
                self._around.entry(self.mode, self._state.settings.model)
            return Rewind(start, over, kept, retry, _new_seed(), time.monotonic())

        return self._ask(event, lambda: {"revision": self._state.revision, "kept": kept})


def update_json(update: Update) -> dict[str, Any]:
    """An update as the contract's `updates` event and `open` show it."""
    body: dict[str, Any] = {"client": update.client, "author": update.author, "changes": update.changes.to_json()}
    if update.tokens:
        body["tokens"] = [[token.length, token.logprob] for token in update.tokens]
    if update.authors:
        body["authors"] = [list(run) for run in update.authors]
    return body


def _new_seed() -> int:
    return secrets.randbits(53)


def _joined(first: Wrote, second: Wrote) -> Wrote:
    return replace(first, text=first.text + second.text, tokens=first.tokens + second.tokens)


def _as_draft_event(event: Chunk | Ended | Rolled | Failed) -> Event:
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
