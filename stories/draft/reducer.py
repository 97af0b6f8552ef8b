"""Reducer: the next state of a draft after an event, as a pure function `(state, event) -> result`.

Owns every rule of the document: rebase and tail floor, epochs, runs, rewind and retry. Every field of a draft changes
here. Retracting unseen model text never costs typed words (`_tail_floor`). Knows nothing of storage, sockets, engines,
clocks or randomness: times, seeds and ids come in with the events.
"""

from __future__ import annotations

from dataclasses import replace

from stories.draft.events import (
    Configure,
    ContextSent,
    DraftEvent,
    Edit,
    EngineRestarted,
    Hold,
    Left,
    Pause,
    Rewind,
    RunStopped,
    Start,
    StoreFailed,
    Tick,
    Viewed,
    WindowMoved,
    Wrote,
)
from stories.draft.result import Fork, Result
from stories.draft.state import DraftState, Run
from stories.errors import Refused
from stories.limits import DRAFT_UNITS, NO_VIEWER_SECONDS, REBASE_WORK
from stories.text.changes import ChangeSet
from stories.text.rebase import rebase, rebase_work
from stories.text.update import MODEL_CLIENT, SERVER_CLIENT, USER, Update
from stories.text.utf16 import splits_pair

TAIL_HOLD_SECONDS = 0.6
EDIT_HOLD_SECONDS = 0.25


def reduce(state: DraftState, event: DraftEvent) -> Result:
    """Apply one event. Raises Refused; then nothing has changed."""
    match event:
        case Edit():
            return _edit(state, event)
        case Wrote():
            return _wrote(state, event)
        case Rewind():
            return _rewind(state, event)
        case _:
            return Result(_next_state(state, event))


def _next_state(state: DraftState, event: DraftEvent) -> DraftState:
    """Apply an event that does not change the text."""
    match event:
        case Start():
            return _start(state, event)
        case Pause():
            return _stop(state, "") if state.run or state.outcome else state.release_holds()
        case Configure():
            return _configure(state, event)
        case Hold():
            return _hold(state, event)
        case Viewed():
            return _viewed(state, event)
        case Left():
            return _left(state, event)
        case Tick():
            return _tick(state, event)
        case EngineRestarted():
            return state.new_epoch(event.now) if state.is_writing else state
        case WindowMoved():
            is_stale = event.epoch != state.epoch
            return state if is_stale else _move_base(state, state.sent_base + event.base)
        case RunStopped():
            is_stale = event.epoch != state.epoch or not state.is_writing
            return state if is_stale else _stop(state, event.outcome, event.reason)
        case ContextSent():
            return replace(state, base=event.base, sent_base=event.base)
        case StoreFailed():
            return _store_failed(state, event)
        case _:
            raise TypeError(f"{type(event).__name__} changes the text")


def _edit(state: DraftState, edit: Edit) -> Result:
    """Rebase and apply a client's updates; before them, retract model text that the author had not seen."""
    length = seen_end = state.length_before(edit.over)
    for update in edit.updates:
        if update.changes.length != length:
            raise Refused("invalid", "The change does not fit the text at that revision.")
        length = update.changes.new_length
    accepted = sum(update.client == edit.client for update in edit.over)
    fresh = edit.updates[accepted:]
    if not fresh:
        return Result(state)
    if rebase_work(fresh, edit.over) > REBASE_WORK:
        raise Refused("behind", "Too much has changed since for so many edits at once; open the draft again.")
    at_tail = any(update.changes.touches_end for update in fresh)
    applied = _tail_floor(state, seen_end, edit.over) if at_tail else ()
    after = state
    for update in applied:
        after = _apply(after, update)
    for update in rebase(edit.updates, (*edit.over, *applied)):
        _check(after, update)
        after = _apply(after, update)
        applied = (*applied, update)
    seconds = TAIL_HOLD_SECONDS if at_tail else EDIT_HOLD_SECONDS
    after = replace(after.see(edit.revision), held_until=edit.now + seconds)
    if at_tail:
        after = after.extend_lease(edit.connection, edit.now)
    return Result(after.new_epoch(edit.now), applied)


def _tail_floor(state: DraftState, seen_end: int, over: tuple[Update, ...]) -> tuple[Update, ...]:
    """Retract the model text after the end that the author had seen, never past a character a user typed."""
    start = seen_end
    for update in over:
        start = update.changes.map_pos(start, -1)
    start = max(start, state.spans.last_user_end())
    end = len(state.text)
    if start >= end:
        return ()
    return (Update(SERVER_CLIENT, USER, ChangeSet.delete(end, start, end)),)


def _check(state: DraftState, update: Update) -> None:
    """Raise Refused for a change that the draft's text cannot take."""
    inserted = 0
    for start, end, _, _, text in update.changes.iter_changes():
        inserted += len(text)
        if splits_pair(state.text, start) or splits_pair(state.text, end):
            raise Refused("invalid", "The change would split a character.")
    if update.changes.new_length > max(DRAFT_UNITS, update.changes.length):
        raise Refused("too_large", f"A draft holds at most {DRAFT_UNITS:,} characters.")
    if not update.authors:
        return
    if sum(length for length, _ in update.authors) != inserted:
        raise Refused("invalid", "The authors do not cover the inserted text.")
    if not {author for _, author in update.authors} <= state.authors:
        raise Refused("invalid", "An author has not written in this draft.")


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
    if wrote.epoch != state.epoch or not state.is_writing or state.run is None:
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
    elif len(after.text) > DRAFT_UNITS:
        after = _stop(after, "too_large")
    return Result(after, (update,))


def _start(state: DraftState, start: Start) -> DraftState:
    state = replace(state.release_holds(), unseen=(), dormant=False, alone_since=start.now)
    if state.run is not None:
        under_way = state.granted - state.made
        state = replace(state, run=replace(state.run, limit=start.limit))
        if start.limit is not None and start.limit < under_way:
            # Otherwise tokens that the engine has generated already would exceed the limit.
            return state.new_epoch(start.now)
        return state.grant(start.now)
    state = replace(state, run=Run(start.limit, 0, start.seed), run_start=len(state.text))
    return replace(state, outcome="", reason="").new_epoch(start.now)


def _stop(state: DraftState, outcome: str, reason: str = "") -> DraftState:
    """End the run. The new epoch makes engine output under way stale."""
    state = replace(state.release_holds(), run=None, dormant=False, outcome=outcome, reason=reason)
    return replace(state, epoch=state.epoch + 1, made=0, granted=0, unseen=())


def _store_failed(state: DraftState, event: StoreFailed) -> DraftState:
    """Return to the durable state: no text may build on text that a restart would lose.

    Viewers and leases are kept from the present state: a page that has left must not count as a viewer for ever.
    """
    return replace(
        event.durable,
        run=None,
        dormant=False,
        outcome="failed",
        reason=event.reason,
        granted=0,
        viewers=state.viewers,
        leases=state.leases,
        alone_since=state.alone_since,
    )


def _move_base(state: DraftState, base: int) -> DraftState:
    """Set the window's base, within the text: the engine may count bytes of a character that it has not published."""
    return replace(state, base=min(max(0, base), len(state.text)))


def _configure(state: DraftState, configure: Configure) -> DraftState:
    if configure.settings == state.settings:
        return state
    return replace(state, settings=configure.settings).new_epoch(configure.now)


def _rewind(state: DraftState, rewind: Rewind) -> Result:
    end = len(state.text)
    start = _stretch_start(state) if rewind.start is None else state.place(rewind.start, rewind.over, -1)
    if splits_pair(state.text, start):
        raise Refused("invalid", "That place is inside a character.")
    if start >= end:
        raise Refused("invalid", _nothing_to_cut(state, rewind))
    fork = Fork(rewind.kept, state.text, state.spans, state.settings, state.revision)
    update = Update(SERVER_CLIENT, USER, ChangeSet.delete(end, start, end))
    after = _apply(state, update).see(state.revision + 1)
    after = replace(after, held_until=rewind.now + TAIL_HOLD_SECONDS)
    if rewind.retry:
        after = replace(after, attempt=state.attempt + 1)
        limit = state.run.limit if state.run else None
        after = _start(after, Start(limit, state.run.seed if state.run else rewind.seed, rewind.now))
    return Result(after.new_epoch(rewind.now), (update,), (fork,))


def _nothing_to_cut(state: DraftState, rewind: Rewind) -> str:
    if rewind.start is not None:
        return "No text follows that place."
    if state.authors == {USER}:
        return "The model has not written anything yet."
    return "The model has not written anything after your last words."


def _stretch_start(state: DraftState) -> int:
    """The start of the model's last stretch: the end of the user's last character, or the start of run or paragraph."""
    end = len(state.text)
    paragraph = state.text.rfind("\n", 0, len(state.text.rstrip())) + 1
    starts = [at for at in (state.run_start, paragraph) if at < end]
    return max(state.spans.last_user_end(), *starts, 0)


def _hold(state: DraftState, event: Hold) -> DraftState:
    after = state.hold(event.connection, event.now) if event.composing else state.without_lease(event.connection)
    return after.grant(event.now)


def _viewed(state: DraftState, viewed: Viewed) -> DraftState:
    was_dormant = state.dormant
    state = replace(state, viewers=state.viewers | {viewed.connection}, dormant=False)
    state = state.see(viewed.revision)
    return state.new_epoch(viewed.now) if was_dormant else state.grant(viewed.now)


def _left(state: DraftState, left: Left) -> DraftState:
    viewers = state.viewers - {left.connection}
    if state.viewers and not viewers:
        state = replace(state, alone_since=left.now)
    return replace(state, viewers=viewers).without_lease(left.connection).grant(left.now)


def _tick(state: DraftState, tick: Tick) -> DraftState:
    if state.is_writing and not state.viewers and tick.now >= state.alone_since + NO_VIEWER_SECONDS:
        return _stop(state, "no_viewer")
    return state.grant(tick.now)
