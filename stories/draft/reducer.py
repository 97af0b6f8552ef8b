"""Reducer: what an event makes of a draft, as a pure function (state, event) -> step.

Owns every rule of the document: rebase and tail floor, epochs, holds, credit, rewind and retry. Knows
nothing of storage, sockets, engines, clocks or randomness: times and ids come in with the events.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

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
from stories.draft.result import Fork, Result
from stories.draft.state import NO_VIEWER_SECONDS, DraftState, Lease, Run
from stories.errors import Refused
from stories.text.changes import ChangeSet
from stories.text.rebase import rebase, rebase_work
from stories.text.update import MODEL_CLIENT, SERVER_CLIENT, USER, Update
from stories.text.utf16 import splits_pair

TAIL_HOLD_SECONDS = 0.6
EDIT_HOLD_SECONDS = 0.25
LEASE_SECONDS = 1.0
IDLE_LEASE_SECONDS = 10.0
UNSEEN_TOKENS = 512
MAX_TEXT_UNITS = 16_000_000
# A second or two: as long as one edit may keep every other draft waiting.
MAX_REBASE_WORK = 400_000


def reduce(state: DraftState, event: DraftEvent) -> Result:
    """Applies one event. Raises Refused; then nothing changed."""
    match event:
        case Edit():
            return _edit(state, event)
        case Wrote():
            return _wrote(state, event)
        case Rewind():
            return _rewind(state, event)
        case Start():
            return Result(_start(state, event))
        case Pause():
            return Result(_stop(state, "") if state.run or state.outcome else _unhold(state))
        case Configure():
            return Result(_configure(state, event))
        case Hold():
            return Result(_hold(state, event))
        case Viewed():
            return Result(_viewed(state, event))
        case Left():
            return Result(_left(state, event))
        case Tick():
            return Result(_tick(state, event))
        case Resent():
            return Result(_new_epoch(state, event.now) if state.writes else state)
        case Moved():
            stale = event.epoch != state.epoch
            return Result(state if stale else replace(state, base=max(0, state.set_base + event.base)))
        case Stopped():
            stale = event.epoch != state.epoch or not state.writes
            return Result(state if stale else _stop(state, event.outcome, event.reason))


def _edit(state: DraftState, edit: Edit) -> Result:
    length = seen_end = _length_before(state, edit.over)
    for update in edit.updates:
        if update.changes.length != length:
            raise Refused("invalid", "the change does not fit the text at that revision")
        length = update.changes.new_length
    accepted = sum(update.client == edit.client for update in edit.over)
    fresh = edit.updates[accepted:]
    if not fresh:
        return Result(state)
    if rebase_work(fresh, edit.over) > MAX_REBASE_WORK:
        raise Refused("behind", "too much has changed since for so many edits at once; open the draft again")
    at_tail = any(update.changes.touches_end for update in fresh)
    floor = _tail_floor(state, seen_end, edit.over) if at_tail else ()
    after = state
    for update in floor:
        after = _apply(after, update)
    for update in rebase(edit.updates, (*edit.over, *floor)):
        _check(after, update)
        after = _apply(after, update)
        floor = (*floor, update)
    after = _see(after, edit.revision)
    hold = TAIL_HOLD_SECONDS if at_tail else EDIT_HOLD_SECONDS
    after = replace(after, held_until=edit.now + hold)
    if edit.connection in after.leases and at_tail:
        after = _lease(after, edit.connection, Lease(edit.now + LEASE_SECONDS, edit.now, edit.now))
    return Result(_new_epoch(after, edit.now), floor)


def _tail_floor(state: DraftState, seen_end: int, over: tuple[Update, ...]) -> tuple[Update, ...]:
    """Retracts the model text after what the writer at the end had seen, never past a user's character."""
    start = seen_end
    for update in over:
        start = update.changes.map_pos(start, -1)
    start = max(start, state.spans.last_user_end())
    end = len(state.text)
    if start >= end:
        return ()
    return (Update(SERVER_CLIENT, USER, ChangeSet.delete(end, start, end)),)


def _check(state: DraftState, update: Update) -> None:
    inserted = 0
    for start, end, _, _, text in update.changes.iter_changes():
        inserted += len(text)
        if splits_pair(state.text, start) or splits_pair(state.text, end):
            raise Refused("invalid", "the change would split a character")
    if update.changes.new_length > max(MAX_TEXT_UNITS, update.changes.length):
        raise Refused("too_large", f"a draft holds at most {MAX_TEXT_UNITS:,} characters")
    if not update.authors:
        return
    if sum(length for length, _ in update.authors) != inserted:
        raise Refused("invalid", "the authors do not cover the inserted text")
    if not {author for _, author in update.authors} <= state.authors:
        raise Refused("invalid", "an author is not one of this draft's")


def _apply(state: DraftState, update: Update) -> DraftState:
    changes = update.changes
    return replace(
        state,
        revision=state.revision + 1,
        text=changes.apply(state.text),
        spans=state.spans.apply(update),
        base=changes.map_pos(state.base, -1),
        run_start=changes.map_pos(state.run_start, -1),
    )


def _wrote(state: DraftState, wrote: Wrote) -> Result:
    if wrote.epoch != state.epoch or not state.writes or state.run is None:
        return Result(state)
    end = len(state.text)
    author = f"model:{state.settings.model}"
    update = Update(MODEL_CLIENT, author, ChangeSet.insert(end, end, wrote.text), wrote.tokens, wrote.tokenizer)
    count = len(wrote.tokens)
    limit = None if state.run.limit is None else state.run.limit - count
    after = replace(
        _apply(state, update),
        authors=state.authors | {author},
        made=state.made + count,
        run=replace(state.run, limit=limit, tokens=state.run.tokens + count),
    )
    after = replace(after, unseen=(*after.unseen, (after.revision, count)))
    if limit is not None and limit <= 0:
        after = _stop(after, "limit")
    elif len(after.text) > MAX_TEXT_UNITS:
        after = _stop(after, "too_large")
    return Result(after, (update,))


def _start(state: DraftState, start: Start) -> DraftState:
    state = replace(_unhold(state), unseen=(), dormant=False, alone_since=start.now)
    if state.run is not None:
        under_way = state.granted - state.made
        state = replace(state, run=replace(state.run, limit=start.limit))
        if start.limit is not None and start.limit < under_way:
            return _new_epoch(state, start.now)  # else what the engine has made already would exceed the limit
        return _grant(state, start.now)
    state = replace(state, run=Run(start.limit, 0, start.seed), run_start=len(state.text))
    return _new_epoch(replace(state, outcome="", reason=""), start.now)


def _stop(state: DraftState, outcome: str, reason: str = "") -> DraftState:
    """Ends the run; a new epoch makes whatever is still under way stale."""
    state = replace(_unhold(state), run=None, dormant=False, outcome=outcome, reason=reason)
    return replace(state, epoch=state.epoch + 1, made=0, granted=0, unseen=())


def _configure(state: DraftState, configure: Configure) -> DraftState:
    if configure.settings == state.settings:
        return state
    return _new_epoch(replace(state, settings=configure.settings), configure.now)


def _rewind(state: DraftState, rewind: Rewind) -> Result:
    end = len(state.text)
    start = _stretch_start(state) if rewind.start is None else _mapped(state, rewind.start, rewind.over)
    if splits_pair(state.text, start):
        raise Refused("invalid", "that place is inside a character")
    if start >= end:
        raise Refused("invalid", "there is nothing to cut")
    fork = Fork(rewind.kept, state.text, state.spans, state.settings, state.revision)
    update = Update(SERVER_CLIENT, USER, ChangeSet.delete(end, start, end))
    after = _see(_apply(state, update), state.revision + 1)
    after = replace(after, held_until=rewind.now + TAIL_HOLD_SECONDS)
    if rewind.retry:
        after = replace(after, attempt=state.attempt + 1)
        limit = state.run.limit if state.run else None
        after = _start(after, Start(limit, state.run.seed if state.run else rewind.seed, rewind.now))
    return Result(_new_epoch(after, rewind.now), (update,), (fork,))


def _mapped(state: DraftState, at: int, over: tuple[Update, ...]) -> int:
    """A place in the text as it was before `over`, in the present text."""
    if at > _length_before(state, over):
        raise Refused("invalid", "that place is past the end of the text at that revision")
    for update in over:
        at = update.changes.map_pos(at, -1)
    return at


def _length_before(state: DraftState, over: tuple[Update, ...]) -> int:
    return len(state.text) - sum(update.changes.new_length - update.changes.length for update in over)


def _stretch_start(state: DraftState) -> int:
    """Where the model's last stretch begins: after the last user character, the run's start, or the paragraph's."""
    end = len(state.text)
    paragraph = state.text.rfind("\n", 0, len(state.text.rstrip())) + 1
    starts = [at for at in (state.run_start, paragraph) if at < end]
    return max(state.spans.last_user_end(), *starts, 0)


def _hold(state: DraftState, hold: Hold) -> DraftState:
    if not hold.composing:
        return _grant(_lease(state, hold.connection, None), hold.now)
    now, lease = hold.now, state.leases.get(hold.connection)
    if lease is None or now > lease.asked + LEASE_SECONDS:
        lease = Lease(now + LEASE_SECONDS, now, now)
    elif now < lease.since + IDLE_LEASE_SECONDS:
        lease = Lease(now + LEASE_SECONDS, lease.since, now)
    else:
        lease = replace(lease, asked=now)
    return _grant(_lease(state, hold.connection, lease), now)


def _viewed(state: DraftState, viewed: Viewed) -> DraftState:
    woken = state.dormant
    state = replace(state, viewers=state.viewers | {viewed.connection}, dormant=False)
    state = _see(state, viewed.revision)
    return _new_epoch(state, viewed.now) if woken else _grant(state, viewed.now)


def _left(state: DraftState, left: Left) -> DraftState:
    viewers = state.viewers - {left.connection}
    if state.viewers and not viewers:
        state = replace(state, alone_since=left.now)
    return _grant(_lease(replace(state, viewers=viewers), left.connection, None), left.now)


def _tick(state: DraftState, tick: Tick) -> DraftState:
    if state.writes and not state.viewers and tick.now >= state.alone_since + NO_VIEWER_SECONDS:
        return _stop(state, "no_viewer")
    return _grant(state, tick.now)


def _new_epoch(state: DraftState, now: float) -> DraftState:
    return _grant(replace(state, epoch=state.epoch + 1, made=0, granted=0, set_base=state.base), now)


def _grant(state: DraftState, now: float) -> DraftState:
    """How many tokens this epoch may make in all: none beyond the present ones while held."""
    if not state.writes or state.run is None:
        return state if state.granted == 0 else replace(state, granted=0)
    allowed = 0
    if not state.is_held(now):
        allowed = max(0, UNSEEN_TOKENS - state.unseen_tokens)
        if state.run.limit is not None:
            allowed = min(allowed, state.run.limit)
    granted = state.made + allowed
    return state if granted == state.granted else replace(state, granted=granted)


def _see(state: DraftState, revision: int) -> DraftState:
    if not state.unseen or state.unseen[0][0] > revision:
        return state
    return replace(state, unseen=tuple(part for part in state.unseen if part[0] > revision))


def _lease(state: DraftState, connection: str, lease: Lease | None) -> DraftState:
    leases = {name: held for name, held in state.leases.items() if name != connection}
    if lease:
        leases[connection] = lease
    return state if leases == state.leases else replace(state, leases=MappingProxyType(leases))


def _unhold(state: DraftState) -> DraftState:
    return replace(state, held_until=0.0, leases=MappingProxyType({}))
