"""Commands on their way to the engine: a bounded queue in which a newer command takes the place of an older one.

Owns which command makes which other obsolete. Knows nothing of sockets or processes.
"""

from __future__ import annotations

import threading

from generator.wire.messages import Alternatives, Budget, Drop, EngineCommand, Load, Set, Unload

LIMIT = 4096

_Key = tuple[str, str]


class OutboxFull(Exception):
    """The engine has taken no commands for so long that the limit was reached."""


class Outbox:
    """Safe to use from several threads. Order is kept, but for commands that a later one has replaced."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._waiting: dict[_Key, EngineCommand] = {}
        self._changed = threading.Condition(threading.Lock())
        self._overflowed = False
        self._closed = False

    def put(self, command: EngineCommand) -> None:
        """Never waits. Past the limit commands are dropped and the next `take` raises OutboxFull."""
        with self._changed:
            for key in _replaced(command):
                self._waiting.pop(key, None)
            if len(self._waiting) >= self._limit:
                self._overflowed = True
            else:
                self._waiting[_key(command)] = command
            self._changed.notify()

    def take(self, seconds: float) -> list[EngineCommand] | None:
        """All that waits, oldest first; nothing after `seconds` without a command; None once closed."""
        with self._changed:
            if not (self._waiting or self._overflowed or self._closed):
                self._changed.wait(seconds)
            if self._overflowed:
                raise OutboxFull
            if self._closed:
                return None
            taken = list(self._waiting.values())
            self._waiting.clear()
            return taken

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()


def _key(command: EngineCommand) -> _Key:
    match command:
        case Set() | Budget() | Drop():
            return command.kind, command.sequence
        case Load() | Unload():
            return command.kind, command.model.key
        case Alternatives():
            return command.kind, command.request
        case _:
            return command.kind, ""


def _replaced(command: EngineCommand) -> tuple[_Key, ...]:
    """What need not be sent any more: a `Set` says all that earlier ones said, a `Drop` makes them pointless."""
    key = _key(command)
    match command:
        case Set():
            return key, (Budget.kind, command.sequence)
        case Drop():
            return key, (Set.kind, command.sequence), (Budget.kind, command.sequence)
        case _:
            return (key,)
