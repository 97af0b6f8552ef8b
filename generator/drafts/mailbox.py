"""Mailbox: the requests that wait for one draft, in order (the actor model's mailbox).

Owns the queue, how long model text is gathered into one batch, and that every request is answered, also when the
mailbox closes. Knows nothing of drafts.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from stories.errors import Refused

MIN_GATHER_SECONDS, MAX_GATHER_SECONDS = 0.03, 0.3
_LAGS = 40
# Storing and showing one piece of text takes about 2 ms of the server's one thread: 100 a second are a fifth of it.
_PIECES_PER_SECOND = 100

Answer = TypeVar("Answer")


@dataclass(slots=True, eq=False)
class Request:
    """`event` builds the event to apply; `answer` computes the answer once the event is durable.

    Both are called on the draft's own thread. `done` is None when no caller waits for the answer.
    """

    event: Callable[[], Any]
    answer: Callable[[], Any] | None = None
    done: Future[Any] | None = None

    def succeed(self) -> None:
        """Compute the answer and hand it to the caller, or the exception that computing it raised."""
        if self.done is None:
            return
        try:
            self.done.set_result(self.answer() if self.answer else None)
        except Exception as error:  # noqa: BLE001 -- the caller must be answered, and logs it
            self.done.set_exception(error)

    def refuse(self, code: str, message: str) -> None:
        """Hand a refusal to the caller, unless the request was answered before."""
        if self.done is not None and not self.done.done():
            self.done.set_exception(Refused(code, message))


class Mailbox:
    """`gather_seconds` returns for how long model text is to be gathered at present."""

    def __init__(self, gather_seconds: Callable[[], float]) -> None:
        self._gather_seconds = gather_seconds
        self._waiting: queue.Queue[Request | None] = queue.Queue()  # None ends the draft
        self._gate = threading.Lock()
        self._is_closed = False

    def __len__(self) -> int:
        return self._waiting.qsize()

    def ask(self, event: Callable[[], Any], answer: Callable[[], Answer]) -> Answer:
        """Wait until the event is durable, then return `answer()`. Raises Refused."""
        done: Future[Answer] = Future()
        with self._gate:
            if self._is_closed:
                raise Refused(*_CLOSING)
            self._waiting.put(Request(event, answer, done))
        try:
            return done.result()
        finally:
            # Break a cycle: the exception's traceback holds this frame, and `done` holds the exception. Otherwise the
            # draft would stay in memory.
            del done

    def post(self, event: Callable[[], Any]) -> None:
        """Add a request without waiting. It has no effect once the draft has ended."""
        self._waiting.put(Request(event))

    def end(self) -> None:
        """Mark the end: the requests before it are still handled."""
        self._waiting.put(None)

    def take(self, shown: float, deadline: float | None, due: float | None) -> tuple[list[Request], bool]:
        """Wait until `due` for the next batch of requests. Returns it and whether it is the last one.

        If no caller waits, the batch keeps gathering until the gathering time since text was last `shown` is over, but
        not past `deadline`. All times are of the monotonic clock. The batch is empty when `due`
        comes first.
        """
        wait = None if due is None else max(0.0, due - time.monotonic())
        batch: list[Request | None] = []
        with suppress(queue.Empty):
            batch.append(self._waiting.get(timeout=wait))
            while True:
                ends = shown + self._gather_seconds()
                wait = (ends if deadline is None else min(ends, deadline)) - time.monotonic()
                may_gather = wait > 0 and all(request is not None and request.done is None for request in batch)
                batch.append(self._waiting.get(timeout=wait) if may_gather else self._waiting.get_nowait())
        return [request for request in batch if request is not None], None in batch

    def close(self) -> None:
        """Refuse the requests that wait, and all later ones."""
        with self._gate:
            self._is_closed = True
            with suppress(queue.Empty):
                while True:
                    request = self._waiting.get_nowait()
                    if request is not None:
                        request.refuse(*_CLOSING)


_CLOSING = ("busy", "The draft is being closed; try again.")


def gather_seconds(num_writing: int, lag: float) -> float:
    """Return how long model text is gathered, in seconds: longer the more drafts write and the later the event loop is.

    So most of a busy server's time stays free for people who type, and for the engine. `lag` is in seconds.
    """
    return min(MAX_GATHER_SECONDS, max(MIN_GATHER_SECONDS, num_writing / _PIECES_PER_SECOND, _LAGS * lag))
