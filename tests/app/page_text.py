"""What a page shows: a copy of the text that follows the stream, and the edits that are not confirmed yet.

Owns the client half of the document as docs/protocol.md tells it, written apart from the server's code (only the
change algebra is shared). Knows nothing of sockets. Subclasses notify `_changed` when something has arrived.
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
    def __init__(self, draft: str) -> None:
        self.draft, self.client = draft, secrets.token_hex(16)
        self.revision, self.text = 0, ""
        self.updates: list[Json] = []
        self.unconfirmed: list[Update] = []
        self._changed = threading.Condition()

    def type(self, text: str, at: int | None = None) -> None:
        """Types at a place, or at the end as this page shows it. No caret stands in the middle of a character."""
        with self._changed:
            place = len(self.text) if at is None else min(at, len(self.text))
            place += splits_pair(self.text, place)
            self._edit(ChangeSet.insert(len(self.text), place, to_units(text)))

    def delete(self, start: int, end: int) -> None:
        with self._changed:
            end = min(end, len(self.text))
            if start < end:
                self._edit(ChangeSet.delete(len(self.text), start, end))

    def _edit(self, changes: ChangeSet) -> None:
        self.text = changes.apply(self.text)
        self.unconfirmed.append(Update(self.client, USER, changes))
        self._changed.notify_all()

    def _push_body(self) -> Json:
        """The edit that sends all that is unconfirmed."""
        updates = [{"changes": update.changes.to_json()} for update in self.unconfirmed]
        return {"draft": self.draft, "revision": self.revision, "client": self.client, "updates": updates}

    def _follow(self, body: Json) -> None:
        first = body["revision"]
        assert first <= self.revision <= first + len(body["updates"]), "the stream has a gap"
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
