"""Rebase: moving a client's updates for an older revision over the updates accepted since then.

Owns the algorithm (operational transformation with the server as the authority) and its cost. Knows nothing of
drafts, storage or limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from stories.text.update import MODEL_CLIENT, Update


def rebase(updates: Sequence[Update], over: Iterable[Update]) -> tuple[Update, ...]:
    """Move `updates` of one client over the updates accepted since the revision they were made for.

    A client repeats a push whose answer was lost, so `over` may contain some of `updates` already: its n-th update of
    this client is the n-th of `updates`. Returns the other updates, which apply to the text after `over`.

    Rebases over one accepted update after the other, as the pages do. Rebasing over their composition, as
    @codemirror/collab does, can lead to another text (docs/decisions/0002).
    """
    pending = list(updates)
    for accepted in _with_joined_appends(over):
        if pending and pending[0].client == accepted.client:
            del pending[0]
            continue
        changes = accepted.changes
        for index, update in enumerate(pending):
            pending[index] = replace(update, changes=update.changes.map(changes))
            changes = changes.map(update.changes, before=True)
    return tuple(pending)


def rebase_work(updates: Sequence[Update], over: Iterable[Update]) -> int:
    """The cost of `rebase`: the number of sections it looks at, counted before it starts."""
    others = [len(update.changes.sections) for update in _with_joined_appends(over)]
    own = [len(update.changes.sections) for update in updates]
    return sum(own) * len(others) + sum(others) * len(own)


def edit_work(updates: Sequence[Update], over: Iterable[Update]) -> int:
    """The cost of a whole edit: rebasing `updates` and applying them, in sections."""
    return rebase_work(updates, over) + sum(len(update.changes.sections) for update in updates)


def _with_joined_appends(over: Iterable[Update]) -> Iterator[Update]:
    """Yield the updates of `over`, with consecutive appends by a model joined into one.

    A client that is behind may have missed thousands of appends. Mapping over the joined append gives the same result.
    """
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
    """Whether a model made `update` and it only inserts text at the very end."""
    if update.client != MODEL_CLIENT or not update.changes.sections:
        return False
    *before, (length, insert) = update.changes.sections
    return length == 0 and insert is not None and all(insert is None for _, insert in before)
