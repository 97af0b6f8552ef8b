"""PageText: the text that a page shows, as a copy that follows the updates, and its unconfirmed edits.

Owns the client's half of docs/protocol.md. Shares only the change algebra with the server's code. Knows nothing of
sockets: a subclass receives messages and notifies `_changed`.
"""

from __future__ import annotations

import secrets
import threading
from typing import Any

from stories.text.changes import ChangeSet
from stories.text.update import USER, Update
from stories.text.utf16 import splits_pair, to_units

Json = dict[str, Any]


class PageText:
    """The text of `draft` on one page."""

    def __init__(self, draft: str) -> None:
        self.draft, self.client = draft, secrets.token_hex(16)
        self.revision, self.text = 0, ""
        self.updates: list[Json] = []
        self.unconfirmed: list[Update] = []
        self._changed = threading.Condition()

    def type(self, text: str, at: int | None = None) -> None:
        """Type at offset `at`, or at the end. An offset inside a character is moved behind it, as a caret is."""
        with self._changed:
            offset = len(self.text) if at is None else min(at, len(self.text))
            offset += splits_pair(self.text, offset)
            self._edit(ChangeSet.insert(len(self.text), offset, to_units(text)))

    def delete(self, start: int, end: int) -> None:
        """Delete the units from `start` to `end`, or to the end of the text if that is shorter."""
        with self._changed:
            end = min(end, len(self.text))
            if start < end:
                self._edit(ChangeSet.delete(len(self.text), start, end))

    def _edit(self, changes: ChangeSet) -> None:
        self.text = changes.apply(self.text)
        self.unconfirmed.append(Update(self.client, USER, changes))
        self._changed.notify_all()

    def _push_body(self) -> Json:
        """The body of the `edit` event with all unconfirmed edits."""
        updates = [{"changes": update.changes.to_json()} for update in self.unconfirmed]
        return {"draft": self.draft, "revision": self.revision, "client": self.client, "updates": updates}

    def _follow(self, body: Json) -> None:
        """Apply the body of an `updates` event, whose first updates may be known already."""
        first = body["revision"]
        assert first <= self.revision <= first + len(body["updates"]), "the updates have a gap"
        for number, update in enumerate(body["updates"], first):
            if number >= self.revision:
                self.updates.append(update)
                self._apply(update)

    def _apply(self, update: Json) -> None:
        self.revision += 1
        if update["client"] == self.client:
            self.unconfirmed.pop(0)
            return
        changes, rebased = ChangeSet.from_json(update["changes"]), list[Update]()
        for own in self.unconfirmed:
            rebased.append(Update(own.client, USER, own.changes.map(changes)))
            changes = changes.map(own.changes, before=True)
        self.unconfirmed, self.text = rebased, changes.apply(self.text)
