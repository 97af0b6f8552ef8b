"""Actor: one draft's events, one after another.

Owns the draft's state while it is open: takes turns in order, reduces, commits, and only then publishes,
answers and tells the engine; so nobody ever sees what is not durable. Knows nothing of who asks or why.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

from generator.drafts.engine_link import Scribe
from generator.drafts.mailbox import Inbox, Turn
from generator.drafts.recent_updates import RecentUpdates
from generator.drafts.services import Surroundings
from generator.drafts.status_line import StatusLine
from stories.draft.events import DraftEvent, Edit, Moved, Stopped, Tick, Wrote
from stories.draft.reducer import reduce
from stories.draft.result import Fork, Result
from stories.draft.state import DraftState, new_head, restore
from stories.errors import Refused, StoreError
from stories.storage.records import Commit, NewDraft, StoredDraft
from stories.text.rebase import edit_work
from stories.text.update import MODEL_CLIENT, Update

LONG_WORK = 1_000  # sections of an edit: some 50 ms, in which nobody else would be served
PUBLISHED_AT_ONCE = 64

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class Actor:
    def __init__(self, stored: StoredDraft, around: Surroundings) -> None:
        self.draft = stored.id
        self.state = restore(stored.id, stored.revision, stored.text, stored.spans, stored.head)
        self.report = StatusLine(self.draft, around.reacted)
        self.scribe = Scribe(self.draft, stored.owner, stored.mode, around)
        self._around = around
        self._head = self.state.head()
        self._log = RecentUpdates(functools.partial(around.stored_updates, self.draft))
        self._inbox = Inbox(around.collect_seconds)
        self._gate = threading.Lock()
        self._ended = False
        self._published = 0.0  # when pages got text of a model last
        self._ticked = time.monotonic()  # up to when it is known what is over
        self._thread = threading.Thread(target=self._loop, name=f"draft-{self.draft[:8]}", daemon=True)
        self._thread.start()

    def ask(self, event: Callable[[], DraftEvent], answer: Callable[[], Answer]) -> Answer:
        """Blocks until the event is durable, then returns `answer`; both are called in the actor's turn.

        Raises Refused.
        """
        done: Future[Answer] = Future()
        with self._gate:
            if self._ended:
                raise _closing()
            self._inbox.put(Turn(event, answer, done))
        try:
            return done.result()
        finally:
            del done  # a refusal would hold this frame, which holds the refusal, and with them the whole draft

    def post(self, event: Callable[[], DraftEvent]) -> None:
        """Like `ask`, for those who don't wait: it comes to nothing if the actor has ended."""
        self._inbox.put(Turn(event))

    @property
    def num_turns(self) -> int:
        """How many turns wait."""
        return len(self._inbox)

    def end(self) -> None:
        """Ends the actor after what is already in its inbox."""
        self._inbox.put(None)

    def joined(self) -> None:
        """Returns when the actor has ended."""
        self._thread.join()

    def log_since(self, revision: int) -> tuple[Update, ...]:
        """The updates from `revision` to the head. Raises Refused `behind` where that is too much."""
        return self._log.since(revision, self.state.revision)

    def _loop(self) -> None:
        ending = False
        while not ending:
            taken = self._take()
            ending = None in taken
            turns = [turn for turn in taken if turn is not None]
            try:
                self._play(turns)
            except Exception:
                log.exception("a turn of draft %s failed", self.draft)
                self._refuse(turns, Refused("storage", "this could not be done; the server's log says why"))
        self.scribe.forget()
        with self._gate:
            self._ended = True
            self._refuse([turn for turn in self._inbox.take_all() if turn is not None], _closing())

    def _take(self) -> list[Turn | None]:
        """The turns that wait, and a tick when one is due."""
        deadline = self.state.deadline(self._ticked)
        pulse = self.report.next_pulse(self.state, time.monotonic())
        due = min((at for at in (deadline, pulse) if at is not None), default=None)
        turns = self._inbox.take(self._published, deadline, due)
        # What ended while others had their turns, or while it was stored, is over for good: nobody would look again.
        if not turns or (deadline is not None and deadline <= time.monotonic()):
            turns.append(Turn(self._tick))
        return turns

    def _tick(self) -> DraftEvent:
        self._ticked = time.monotonic()
        return Tick(self._ticked)

    def _play(self, turns: list[Turn]) -> None:
        before, updates, forks = self.state, list[Update](), list[Fork]()
        answered: list[Turn] = []
        try:
            for turn, event in self._events(turns):
                if self._reduce(event, updates, forks, turn):
                    answered.append(turn)
            self._commit(before, updates, forks)
        except StoreError as error:
            self._revert(before, error)
            self._refuse(answered, Refused("storage", str(error)))
            return
        except Exception:
            self.state = before
            self._log.clear()
            self._refuse(turns, Refused("invalid", "this could not be done; the server's log says why"))
            raise
        self._publish(before.revision, updates)
        self._tell_engine()
        for turn in answered:
            self._answer(turn)
        self.publish_state()

    def _events(self, turns: Sequence[Turn]) -> Iterator[tuple[Turn, DraftEvent]]:
        """Each turn's event when it is due, the model's text that came together as one.

        What is asked for is built from the log: whatever came before it must be reduced by then.
        """
        waiting: tuple[Turn, Wrote] | None = None
        for turn in turns:
            if waiting and turn.done:
                yield waiting
                waiting = None
            event = self._event_of(turn)
            if waiting and isinstance(event, Wrote) and event.epoch == waiting[1].epoch:
                waiting = (turn, _joined(waiting[1], event))
                continue
            if waiting:
                yield waiting
            waiting = (turn, event) if isinstance(event, Wrote) else None
            if event and not waiting:
                yield turn, event
        if waiting:
            yield waiting

    def _event_of(self, turn: Turn) -> DraftEvent | None:
        try:
            return turn.event()
        except Refused as refusal:
            self._refuse([turn], Refused(refusal.code, refusal.message))
        except StoreError as error:
            self._refuse([turn], Refused("storage", str(error)))
        return None

    def _reduce(self, event: DraftEvent, updates: list[Update], forks: list[Fork], turn: Turn | None = None) -> bool:
        try:
            step = self._step(event)
        except Refused as refusal:
            if turn:
                self._refuse([turn], Refused(refusal.code, refusal.message))
            return False
        self.state = step.state
        self._log.extend(step.updates)
        updates.extend(step.updates)
        forks.extend(step.forks)
        return True

    def _step(self, event: DraftEvent) -> Result:
        if isinstance(event, Edit) and edit_work(event.updates, event.over) > LONG_WORK:
            step: Result = self._around.compute(reduce, self.state, event)
            return step
        return reduce(self.state, event)

    def _commit(self, before: DraftState, updates: Sequence[Update], forks: Sequence[Fork]) -> None:
        state, head = self.state, self.state.head()
        if not updates and not forks and head == self._head:
            return
        siblings = tuple(self._sibling(fork) for fork in forks)
        self._around.committer.commit(
            Commit(self.draft, before.revision, tuple(updates), head, state.text, state.spans, siblings)
        )
        self._head = head
        self._log.trim()

    def _sibling(self, fork: Fork) -> NewDraft:
        head = new_head(fork.settings, fork.spans)
        return NewDraft(fork.draft, fork.settings.model, head, fork.text, fork.spans, self.draft, fork.forked_at)

    def _revert(self, before: DraftState, error: StoreError) -> None:
        """Back to what is durable: nobody may build on text that a restart would lose."""
        log.error("draft %s could not be stored: %s", self.draft, error)
        self._log.clear()
        self.state = replace(
            before,
            run=None,
            dormant=False,
            outcome="failed",
            reason=f"Not saved: {error}",
            granted=0,
            # Who is here is not a matter of the disk: a page that has left must not count for ever.
            viewers=self.state.viewers,
            leases=self.state.leases,
            alone_since=self.state.alone_since,
        )
        self._head = self.state.head()  # or the draft could not even be read until there is room again
        self._tell_engine()
        self.publish_state(always=True)

    def _tell_engine(self) -> None:
        try:
            self.scribe.tell(self.state, self._moved)
        except Refused as error:
            self.state = reduce(self.state, Stopped(self.state.epoch, "failed", error.message)).state

    def _moved(self, base: int) -> DraftState:
        self.state = reduce(self.state, Moved(self.state.epoch, base - self.state.set_base)).state
        self.state = replace(self.state, set_base=self.state.base)
        return self.state

    def _answer(self, turn: Turn) -> None:
        if turn.done is None:
            return
        try:
            turn.done.set_result(turn.answer() if turn.answer else None)
        except Refused as error:
            turn.done.set_exception(Refused(error.code, error.message))
        except Exception as error:  # noqa: BLE001 -- whoever waits must be answered, and logs it
            turn.done.set_exception(error)

    def _refuse(self, turns: Sequence[Turn], error: Refused) -> None:
        for turn in turns:
            if turn.done is not None and not turn.done.done():
                turn.done.set_exception(error)

    def _publish(self, revision: int, updates: Sequence[Update]) -> None:
        if not updates:
            return
        now = time.monotonic()
        if any(update.client == MODEL_CLIENT for update in updates):
            self._published = now
        self.report.wrote(updates, self.state, now)
        for number, update in enumerate(updates, revision):  # one each: see docs/decisions/0002
            body = {
                "draft": self.draft,
                "revision": number,
                "epoch": self.state.epoch,
                "updates": [update.to_json()],
            }
            self._around.publish(self.draft, "updates", body)
            if (number - revision) % PUBLISHED_AT_ONCE == PUBLISHED_AT_ONCE - 1:
                time.sleep(0)  # lets them be sent: a page is cut off when too many wait for it

    def publish_state(self, always: bool = False) -> None:
        """Says the state if there is something new to say, or in any case. Only in the actor's turn."""
        now = time.monotonic()
        body = self.report.due(self.state, self.scribe, now, always)
        if body is not None:
            self._around.publish(self.draft, "state", body)


def _closing() -> Refused:
    return Refused("busy", "the draft is being closed; try again")


def _joined(first: Wrote, second: Wrote) -> Wrote:
    return replace(first, text=first.text + second.text, tokens=first.tokens + second.tokens)
