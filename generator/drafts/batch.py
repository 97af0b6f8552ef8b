"""Batch: the requests that a draft handles together, and what they led to.

Owns joining model text that came together. Knows nothing of how events are applied.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from generator.drafts.mailbox import Request
from stories.draft.events import DraftEvent, Wrote
from stories.draft.result import Fork, Result
from stories.errors import Refused
from stories.text.update import Update


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


def events_of(batch: Sequence[Request]) -> Iterator[tuple[Request, DraftEvent | None]]:
    """Yield each request with its event, the model's text that came together as one event.

    An event is built only when all events before it have been handled: a request that is answered may read the log.
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
