"""Process: one engine process with the socket to it, from its start to its end.

Owns the one-time token, the loopback listener and the process. Knows nothing of commands, and of events only the
greeting. Uses `socket` and `time` by their plain names, so that a wait blocks no other thread under eventlet. The end
of the process is polled and never waited for, because `subprocess` may be unpatched.
"""

from __future__ import annotations

import hmac
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from generator.wire.frames import FrameError, read_frame
from generator.wire.messages import Hello, MalformedMessage, decode

CHECKOUT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
NICENESS = 5

_POLL_SECONDS = 0.05
_GREETING_SECONDS = 5.0
_END_SECONDS = 3.0
_EXIT_STATUS_SECONDS = 1.0


class EngineNotStarted(Exception):
    """The engine process did not start. The message is a sentence for the user."""


class EngineProcess:
    """A running engine, and the `connection` on which it has sent its greeting."""

    def __init__(self, process: subprocess.Popen[bytes], connection: socket.socket) -> None:
        self._process = process
        self.connection = connection

    @classmethod
    def start(
        cls, command: Sequence[str], boot: Mapping[str, Any], seconds: float, cancelled: Callable[[], bool]
    ) -> EngineProcess:
        """Start `command` and wait at most `seconds` for its greeting, or until `cancelled` returns True.

        Raise EngineNotStarted. The child reads `boot`, the port and a one-time token from its standard input, as one
        line of JSON, because other users of the machine can read arguments and environment variables.
        """
        token = secrets.token_urlsafe(32)
        with socket.create_server((LOOPBACK, 0)) as listener:
            process = _spawn(command)
            try:
                _send_boot(process, {**boot, "port": listener.getsockname()[1], "token": token})
                wait = _GreetingWait(process, time.monotonic() + seconds, cancelled)
                return cls(process, _accept_greeting(listener, token, wait))
            except BaseException:
                _end(process)
                raise

    def end(self) -> None:
        """Close the connection, upon which the engine exits. If it does not, terminate it, and then kill it."""
        with suppress(OSError):  # the connection may be broken already
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
        if not _has_ended(self._process, _END_SECONDS):
            _end(self._process)

    def describe_end(self) -> str:
        """Return how the process ended, as a part of a sentence. Call this once the connection has closed."""
        if not _has_ended(self._process, _EXIT_STATUS_SECONDS):
            return "it closed its connection"
        status: int = self._process.returncode
        if status >= 0:
            return f"exit status {status}"
        try:
            return f"killed by {signal.Signals(-status).name}"
        except ValueError:
            return f"killed by signal {-status}"


class _GreetingWait:
    """The conditions under which the wait for a greeting goes on."""

    def __init__(self, process: subprocess.Popen[bytes], deadline: float, cancelled: Callable[[], bool]) -> None:
        self._process, self._deadline, self._cancelled = process, deadline, cancelled

    def check(self) -> None:
        """Raise EngineNotStarted if the wait was cancelled, the process has ended or the deadline has passed."""
        if self._cancelled():
            raise EngineNotStarted("The writing engine was told to stop.")
        if (status := self._process.poll()) is not None:
            raise EngineNotStarted(f"The writing engine could not start (exit status {status}).")
        if time.monotonic() > self._deadline:
            raise EngineNotStarted("The writing engine did not start in time.")


def _spawn(command: Sequence[str]) -> subprocess.Popen[bytes]:
    options: dict[str, Any] = {}
    if sys.platform == "win32":
        options["creationflags"] = (
            subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        )
    else:
        options["start_new_session"] = True  # Ctrl+C must reach only the server, which then ends the engine
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=CHECKOUT, close_fds=True, **options
        )
    except OSError as error:
        raise EngineNotStarted(f"The writing engine could not be started: {error}.") from error
    if sys.platform != "win32":
        with suppress(OSError):  # the server should run first on few cores, but it also works at the same priority
            os.setpriority(os.PRIO_PROCESS, process.pid, NICENESS)
    return process


def _send_boot(process: subprocess.Popen[bytes], boot: Mapping[str, Any]) -> None:
    pipe: IO[bytes] | None = process.stdin
    assert pipe is not None  # _spawn requests a pipe
    with suppress(BrokenPipeError):  # the process has ended already, which the wait for its greeting reports
        pipe.write(json.dumps(boot).encode() + b"\n")
        pipe.flush()
    with suppress(BrokenPipeError):
        pipe.close()


def _accept_greeting(listener: socket.socket, token: str, wait: _GreetingWait) -> socket.socket:
    listener.settimeout(4 * _POLL_SECONDS)
    while True:
        wait.check()
        try:
            connection, _address = listener.accept()
        except TimeoutError:
            continue
        if _is_greeting(connection, token):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return connection
        connection.close()


def _is_greeting(connection: socket.socket, token: str) -> bool:
    """Whether the first frame is from the child, because any process of the machine can connect."""
    connection.settimeout(_GREETING_SECONDS)
    try:
        hello = decode(read_frame(connection))
    except (FrameError, MalformedMessage, OSError):
        return False
    return isinstance(hello, Hello) and hmac.compare_digest(hello.token.encode(), token.encode())


def _has_ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while process.poll() is None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    if not _has_ended(process, _END_SECONDS):
        process.kill()
        _has_ended(process, _END_SECONDS)
