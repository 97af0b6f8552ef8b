"""Outbox: a bounded queue of commands to the engine, in which a newer command replaces an obsolete one.

Owns the rules by which a command makes an earlier one obsolete. Knows nothing of sockets or processes.
"""

from __future__ import annotations

import threading

from generator.wire.messages import Alternatives, Budget, Drop, EngineCommand, Set

LIMIT = 4096

_Key = tuple[str, str]


class OutboxFull(Exception):
    """The queue reached its limit, because the engine has not taken commands for too long."""


class Outbox:
    """A thread-safe queue that keeps the order of the commands and forgets replaced ones."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._waiting: dict[_Key, EngineCommand] = {}
        self._changed = threading.Condition(threading.Lock())
        self._overflowed = False
        self._closed = False

    def put(self, command: EngineCommand) -> None:
        """Add a command without waiting. Beyond the limit the command is lost and the next `take` raises OutboxFull."""
        with self._changed:
            for key in _replaced(command):
                self._waiting.pop(key, None)
            if len(self._waiting) >= self._limit:
                self._overflowed = True
            else:
                self._waiting[_key(command)] = command
            self._changed.notify()

    def take(self, seconds: float) -> list[EngineCommand] | None:
        """Return all waiting commands, oldest first, or None once the outbox is closed.

        Without a waiting command, wait for one. After `seconds` without a command, return an empty list.
        """
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
        """Wake the thread that waits in `take`, and make every `take` return None."""
        with self._changed:
            self._closed = True
            self._changed.notify()


def _key(command: EngineCommand) -> _Key:
    match command:
        case Set() | Budget() | Drop():
            return command.kind, command.sequence
        case Alternatives():
            return command.kind, command.request
        case _:
            return command.kind, ""


def _replaced(command: EngineCommand) -> tuple[_Key, ...]:
    """Return the keys of the commands that this one makes obsolete.

    A `Set` contains everything that the earlier commands of its sequence said. A `Drop` makes them pointless.
    """
    key = _key(command)
    match command:
        case Set():
            return key, (Budget.kind, command.sequence)
        case Drop():
            return key, (Set.kind, command.sequence), (Budget.kind, command.sequence)
        case _:
            return (key,)
