"""From a bound port to an orderly end: serves until told to stop, then hangs up and closes.

Owns the announcement of the address, the signals and the time an end may take. Knows nothing of what is served.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from web import concurrency

STOP_SECONDS = 9.0
_LOOK_SECONDS = 0.1
_SIGNALS = ("SIGINT", "SIGTERM", "SIGBREAK")  # the last is Windows' Ctrl+Break


class _StopFlag:
    """Set by signals. A plain attribute, since a signal may interrupt code that holds any lock."""

    raised = False

    def listen(self) -> None:
        for name in _SIGNALS:
            if number := getattr(signal, name, None):
                signal.signal(number, self._raise)

    def _raise(self, number: int, frame: object) -> None:
        self.raised = True


def address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve_until_stopped(
    mode: str, listener: socket.socket, app: Callable[..., Any], hang_up: Callable[[], None], close: Callable[[], None]
) -> None:
    """Returns after a signal, once `hang_up` has ended the open connections and `close` has saved everything;
    if that takes longer than `STOP_SECONDS`, the process ends with status 1."""
    stop = _StopFlag()
    stop.listen()
    host, port = listener.getsockname()[:2]
    concurrency.serve(mode, listener, app)
    print(f"StoryGen is at {address(host, port)}", flush=True)  # noqa: T201
    while not stop.raised:
        time.sleep(_LOOK_SECONDS)
    concurrency.exit_after(STOP_SECONDS, 1)
    hang_up()
    close()
