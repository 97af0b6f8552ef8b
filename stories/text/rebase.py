"""Rebase: move updates that a client made for an older revision over the updates accepted since then.

Owns the algorithm (operational transformation with the server as authority) and its cost. Knows nothing of drafts,
storage or limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from stories.text.update import Update


def rebase(updates: Sequence[Update], over: Iterable[Update]) -> tuple[Update, ...]:
    """Move `updates` of one client over what was accepted since the revision they were made for.

    Those that `over` already contains (the client repeats a push whose answer was lost) are left out:
    the n-th update of the client in `over` is the n-th of `updates`. Returns the new ones, which apply to
    the text after `over`.

    One accepted update after the other, as the pages do it: over their composition, as in
    @codemirror/collab, a text can come out otherwise (docs/decisions/0002).
    """
    pending = list(updates)
    for accepted in _appends_joined(over):
        if pending and pending[0].client == accepted.client:
            del pending[0]
            continue
        changes = accepted.changes
        for index, update in enumerate(pending):
            pending[index] = replace(update, changes=update.changes.map(changes))
            changes = changes.map(update.changes, before=True)
    return tuple(pending)


def rebase_work(updates: Sequence[Update], over: Iterable[Update]) -> int:
    """How much `rebase` would have to do: the sections it looks at, counted before it starts."""
    others = [len(update.changes.sections) for update in _appends_joined(over)]
    own = [len(update.changes.sections) for update in updates]
    return sum(own) * len(others) + sum(others) * len(own)


def edit_work(updates: Sequence[Update], over: Iterable[Update]) -> int:
    """How much a whole edit asks for: rebasing `updates`, and applying them."""
    return rebase_work(updates, over) + sum(len(update.changes.sections) for update in updates)


def _appends_joined(over: Iterable[Update]) -> Iterator[Update]:
    """A model's appends as one each: thousands of them may have come since, and joined they map the same."""
    last: Update | None = None
    for update in over:
        if last is not None and _is_append(last) and _is_append(update):
            last = replace(last, changes=last.changes.compose(update.changes))
            continue
        if last is not None:
            yield last
        last = update
    if last is not None:
        yield last


def _is_append(update: Update) -> bool:
    *kept, (length, insert) = update.changes.sections or ((1, None),)
    is_insertion = not length and insert is not None
    return update.client == "model" and is_insertion and all(insert is None for _, insert in kept)
