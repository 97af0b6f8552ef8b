"""Supervisor: one engine process at a time, which is restarted when it ends.

Owns the restart policy, and passes commands and events on. Knows nothing of drafts: the caller sends its `Set`s again
when a new engine is up. This folder uses `threading` by its plain names, so that the threads are green under eventlet
and real otherwise.
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
    """The delays before an engine that has ended is started again, in seconds.

    The first delay is `first_delay`, and each further end within `window` doubles it, up to `rest`. From the end number
    `crashes` within `window` on, the delay is `rest`, so that a model that kills the engine is not tried again and
    again. `greeting` is the time that a started engine has to connect.
    """

    greeting: float = 60.0
    first_delay: float = 0.5
    crashes: int = 5
    window: float = 600.0
    rest: float = 60.0

    def delay_after(self, crashes: int) -> float:
        """Return the delay before the next start, after `crashes` ends within the window."""
        return self.rest if crashes >= self.crashes else min(self.first_delay * 2 ** (crashes - 1), self.rest)


class EngineSupervisor:
    """A running engine, or the wait for the next start.

    `on_event` is called with every event of the engine's work, and `on_up` when an engine serves commands. `on_down`
    is called with a sentence for the user when an engine has ended or could not start. The three are called one after
    the other, on one thread, and must return soon.

    `boot` is a part of the engine's first line of input: threads, device, precision, root.
    """

    def __init__(
        self,
        command: Sequence[str],
        boot: Mapping[str, Any],
        on_event: Callable[[EngineEvent], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
        restart_policy: RestartPolicy | None = None,
        timeouts: EngineTimeouts | None = None,
    ) -> None:
        self._command, self._boot = command, boot
        self._on_event, self._on_up, self._on_down = on_event, on_up, on_down
        self._restart_policy, self._timeouts = restart_policy or RestartPolicy(), timeouts or EngineTimeouts()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: EngineConnection | None = None
        self._is_up = False
        self._restarts = 0

    @property
    def is_up(self) -> bool:
        """Whether an engine serves commands."""
        return self._is_up

    @property
    def restarts(self) -> int:
        """The number of engines that were started after the first one."""
        return self._restarts

    def start(self) -> None:
        """Start the engine on a thread of its own, without waiting for it."""
        self._thread = threading.Thread(target=self._supervise, name="engine-supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the engine and wait for its end, which takes a few seconds at most. A callback must not call this."""
        self._stopping.set()
        if (connection := self._connection) is not None:
            connection.shut_down()
        if self._thread is not None:
            self._thread.join()

    def send(self, command: EngineCommand) -> None:
        """Send a command without waiting. While no engine is up, the command is dropped."""
        if self._is_up and (connection := self._connection) is not None:
            connection.send(command)

    def _supervise(self) -> None:
        crashes: deque[float] = deque()
        while True:
            reason = self._run_engine()
            if self._stopping.is_set():
                return
            now = time.monotonic()
            crashes.append(now)
            while crashes[0] < now - self._restart_policy.window:
                crashes.popleft()
            delay = self._restart_policy.delay_after(len(crashes))
            sentence = f"{reason} {self._describe_next_start(len(crashes), delay)}"
            log.error(sentence)
            self._call(self._on_down, sentence)
            if self._stopping.wait(delay):
                return
            self._restarts += 1

    def _describe_next_start(self, crashes: int, delay: float) -> str:
        if crashes < self._restart_policy.crashes:
            return "The engine is being started again."
        return f"The engine has ended {crashes} times within a short time. The next start is in {delay:g} seconds."

    def _run_engine(self) -> str:
        """Start one engine and pass its events on until it ends. Return the reason of the end as a sentence."""
        try:
            seconds = self._restart_policy.greeting
            engine = EngineProcess.start(self._command, self._boot, seconds, self._stopping.is_set)
        except EngineNotStarted as error:
            return str(error)
        try:
            self._connection = EngineConnection(engine.connection, self._timeouts)
            if self._stopping.is_set():  # `stop` may have run just before the connection existed
                return "The writing engine was told to stop."
            reason = self._connection.run(self._receive)
            self._is_up = False
            return reason or f"The writing engine has stopped ({engine.describe_end()})."
        finally:
            self._connection = None
            engine.end()

    def _receive(self, event: EngineEvent) -> None:
        match event:
            case Hello() | Pong():
                return
            case Ready():
                log.info("The writing engine is up with %d threads.", event.threads)
                self._is_up = True
                self._call(self._on_up)
            case Imported():
                log.info("The writing engine computes on %s.", event.device)
            case _:
                self._call(self._on_event, event)

    def _call(self, callback: Callable[..., None], *args: object) -> None:
        if self._stopping.is_set():
            return
        try:
            callback(*args)
        except Exception:  # a fault in a callback must not end the engine
            log.exception("A callback of the engine supervisor failed.")
