"""Inbox: the turns that wait for a draft's actor, in order.

Owns the queue, and how long what nobody waits for gathers in it: the longer, the more drafts are written at once and
the later tasks that sleep wake up. So however many write on however small a machine, most of its time is left for
those who type, and for the engine. Knows nothing of drafts.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from stories.draft.events import DraftEvent

LEAST_SECONDS, MOST_SECONDS = 0.03, 0.3
_LAGS = 40
# To store and show a piece of text takes some two milliseconds of the one thread there is.
_PIECES_PER_SECOND = 100


@dataclass(slots=True)
class Turn:
    """Something to do in the actor's turn: an event to reduce, then an answer to give after the commit."""

    event: Callable[[], DraftEvent]
    answer: Callable[[], Any] | None = None
    done: Future[Any] | None = None


class Inbox:
    """`collect_seconds` says how long text gathers just now. None among the turns is the end."""

    def __init__(self, collect_seconds: Callable[[], float]) -> None:
        self._collect_seconds = collect_seconds
        self._waiting: queue.Queue[Turn | None] = queue.Queue()

    def put(self, turn: Turn | None) -> None:
        self._waiting.put(turn)

    def __len__(self) -> int:
        return self._waiting.qsize()

    def take(self, shown: float, deadline: float | None, due: float | None) -> list[Turn | None]:
        """The turns that come until `due`, with those that follow soon if nobody waits for an answer: so long after
        text was last `shown`, until the `deadline` at most. No turns if none came by then."""
        wait = None if due is None else max(0.0, due - time.monotonic())
        turns: list[Turn | None] = []
        with suppress(queue.Empty):
            turns.append(self._waiting.get(timeout=wait))
            while True:
                ends = shown + self._collect_seconds()
                wait = (ends if deadline is None else min(ends, deadline)) - time.monotonic()
                patient = wait > 0 and all(turn is not None and turn.done is None for turn in turns)
                turns.append(self._waiting.get(timeout=wait) if patient else self._waiting.get_nowait())
        return turns

    def take_all(self) -> list[Turn | None]:
        """What waits now."""
        turns: list[Turn | None] = []
        with suppress(queue.Empty):
            while True:
                turns.append(self._waiting.get_nowait())
        return turns


def collect_seconds(writers: int, lag: float) -> float:
    """How long text gathers while so many drafts are written, in a process whose tasks wake up so late, in seconds."""
    return min(MOST_SECONDS, max(LEAST_SECONDS, writers / _PIECES_PER_SECOND, _LAGS * lag))
