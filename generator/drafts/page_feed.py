"""Page feed: what the pages of one draft are sent.

Owns the bodies of `updates` events and when model text was last shown. Knows nothing of sockets. Used on the draft's
own thread only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from stories.draft.state import DraftState
from stories.text.update import MODEL_CLIENT, Update

SENT_AT_ONCE = 64

# (draft, event, body): sends to every page that has the draft open; never blocks
Publish = Callable[[str, str, dict[str, Any]], None]


class PageFeed:
    """`shown` is when pages were last sent text of a model, by the monotonic clock."""

    def __init__(self, draft: str, publish: Publish) -> None:
        self._draft, self._publish = draft, publish
        self.shown = 0.0

    def updates(self, revision: int, updates: Sequence[Update], state: DraftState) -> None:
        """Send the updates that lead from `revision` to `state`, one event each (docs/decisions/0002)."""
        if any(update.client == MODEL_CLIENT for update in updates):
            self.shown = time.monotonic()
        for number, update in enumerate(updates, revision):
            body = {"draft": self._draft, "revision": number, "epoch": state.epoch, "updates": [update.to_json()]}
            self._publish(self._draft, "updates", body)
            if (number - revision) % SENT_AT_ONCE == SENT_AT_ONCE - 1:
                time.sleep(0)  # lets the server send them: a page is cut off when too many events wait for it

    def state(self, body: dict[str, Any] | None) -> None:
        """Send the state line, if there is one to send."""
        if body is not None:
            self._publish(self._draft, "state", body)
