"""Keeps an engine process running: starts it, passes commands and events, notices its end, starts it again.

Owns the patience with a crashing engine. Knows nothing of drafts: whoever uses it sends its `Set`s again when the
engine is up. Plain `threading` names here and below: green under eventlet, real otherwise.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from generator.engine_host.connection import EngineConnection, EngineTimeouts
from generator.engine_host.process import EngineNotStarted, EngineProcess
from generator.wire.messages import EngineCommand, EngineEvent, Hello, Imported, Pong, Ready

ENGINE_COMMAND = (sys.executable, "-m", "generator.engine")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """With an engine that ends by itself, in seconds: the next start comes later each time. One that ends `crashes`
    times within `window` gets a `rest`, so that a model which kills it is not tried again and again."""

    greeting: float = 60.0
    first_delay: float = 0.5
    crashes: int = 5
    window: float = 600.0
    rest: float = 60.0

    def delay_after(self, crashes: int) -> float:
        return self.rest if crashes >= self.crashes else min(self.first_delay * 2 ** (crashes - 1), self.rest)


class EngineSupervisor:
    """`on_event` gets every event of the engine's work; `on_up` is called when commands are served, `on_down` with
    a sentence for the user when an engine, up or not yet, is gone. They are called one after the other, on one
    thread, and must not wait long.

    `boot` goes into the engine's first line of input: threads, device, precision, root.
    """

    def __init__(
        self,
        command: Sequence[str],
        boot: Mapping[str, Any],
        on_event: Callable[[EngineEvent], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        patience: RestartPolicy | None = None,
        limits: EngineTimeouts | None = None,
    ) -> None:
        self._command, self._boot = command, boot
        self._on_event, self._on_up, self._on_down = on_event, on_up, on_down
        self._patience, self._limits = patience or RestartPolicy(), limits or EngineTimeouts()
        self._stopping = threading.Event()
        self._supervisor: threading.Thread | None = None
        self._connection: EngineConnection | None = None
        self._is_up = False
        self._restarts = 0

    @property
    def is_up(self) -> bool:
        """Whether commands are served."""
        return self._is_up

    @property
    def restarts(self) -> int:
        """How often an engine was started after the first."""
        return self._restarts

    def start(self) -> None:
        self._supervisor = threading.Thread(target=self._supervise, name="engine-supervisor", daemon=True)
        self._supervisor.start()

    def stop(self) -> None:
        """End the engine and wait until it is gone, a few seconds at most. Not to be called from a callback."""
        self._stopping.set()
        if (connection := self._connection) is not None:
            connection.shut()
        if self._supervisor is not None:
            self._supervisor.join()

    def send(self, command: EngineCommand) -> None:
        """Never waits. Dropped while the engine is down."""
        if self._is_up and (connection := self._connection) is not None:
            connection.send(command)

    def _supervise(self) -> None:
        crashes: deque[float] = deque()
        while True:
            reason = self._live()
            if self._stopping.is_set():
                return
            now = time.monotonic()
            crashes.append(now)
            while crashes[0] < now - self._patience.window:
                crashes.popleft()
            delay = self._patience.delay_after(len(crashes))
            sentence = f"{reason} {self._outlook(len(crashes), delay)}"
            log.error(sentence)
            self._call(self._on_down, sentence)
            if self._stopping.wait(delay):
                return
            self._restarts += 1

    def _outlook(self, crashes: int, delay: float) -> str:
        if crashes < self._patience.crashes:
            return "It is being started again."
        return f"That was the {crashes}th time within a short while; the next start is in {delay:g} seconds."

    def _live(self) -> str:
        """One engine from its start to its end. Returns why it ended, as a sentence."""
        try:
            engine = EngineProcess.start(self._command, self._boot, self._patience.greeting, self._stopping.is_set)
        except EngineNotStarted as error:
            return str(error)
        try:
            self._connection = EngineConnection(engine.connection, self._limits)
            if self._stopping.is_set():  # `stop` may have looked for a connection just before there was one
                return "The writing engine was told to stop."
            reason = self._connection.run(self._receive)
            self._is_up = False
            return reason or f"The writing engine has stopped ({engine.how_it_ended()})."
        finally:
            self._connection = None
            engine.end()

    def _receive(self, event: EngineEvent) -> None:
        match event:
            case Hello() | Pong():
                return
            case Ready():
                log.info("the writing engine is up (%d threads)", event.threads)
                self._is_up = True
                self._call(self._on_up)
            case Imported():
                log.info("the writing engine computes on %s", event.device)
            case _:
                self._call(self._on_event, event)

    def _call(self, callback: Callable[..., None], *args: object) -> None:
        if self._stopping.is_set():
            return
        try:
            callback(*args)
        except Exception:  # a fault of this program, but no reason to lose the engine
            log.exception("an engine callback failed")
