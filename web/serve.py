"""Serve: the life of the server from the bound port to an orderly end.

Owns the announcement of the address, the stop signals and the time limit of the end. Knows nothing of the application.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from web import concurrency

STOP_SECONDS = 9.0
_POLL_SECONDS = 0.1
_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")  # SIGBREAK is Ctrl+Break on Windows


class _StopFlag:
    """A flag that the stop signals set. It is a plain attribute, because a signal may interrupt code with any lock."""

    raised = False

    def listen(self) -> None:
        for name in _SIGNALS:
            if number := getattr(signal, name, None):
                signal.signal(number, self._raise)

    def _raise(self, number: int, frame: object) -> None:
        self.raised = True


def address(host: str, port: int) -> str:
    """Return the URL of the server."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_until_stopped(
    mode: str, listener: socket.socket, app: Callable[..., Any], hang_up: Callable[[], None], close: Callable[[], None]
) -> None:
    """Serve `app` until a stop signal. Then call `hang_up`, which ends the connections, and `close`, which saves.

    If these two take longer than `STOP_SECONDS`, the process ends with status 1.
    """
    stop = _StopFlag()
    stop.listen()
    host, port = listener.getsockname()[:2]
    concurrency.serve(mode, listener, app)
    print(f"StoryGen is at {address(host, port)}", flush=True)  # noqa: T201
    while not stop.raised:
        time.sleep(_POLL_SECONDS)
    concurrency.exit_after(STOP_SECONDS, 1)
    hang_up()
    close()
