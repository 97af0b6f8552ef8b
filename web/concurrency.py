"""Concurrency: the two ways to serve connections (eventlet and threads), and the tuning of the interpreter for them.

Owns the start-up check of eventlet, the threads for blocking work, the interval of thread switches, the thresholds of
the garbage collector, the fast WebSocket unmasking and the raw socket of a request. Knows nothing of stories, events or
Flask. This is the only module of `web/` that imports eventlet. The other modules start tasks and sleep through the
Socket.IO server, which works in both modes.
"""

from __future__ import annotations

import gc
import importlib
import os
import socket
import sys
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from generator.drafts.group_commit import RunBlocking  # at run time, this import would run before the patch

EVENTLET = "eventlet"
THREADING = "threading"

# SQLite releases the interpreter lock at every statement, about eight times per commit. With Python's default interval,
# the storing thread of a busy process would then wait for the lock up to five milliseconds each time, and with it every
# edit in that commit.
_SWITCH_SECONDS = 0.00005

P = ParamSpec("P")
R = TypeVar("R")
Environ = dict[str, Any]


def check_eventlet() -> str | None:
    """Return a sentence that says why eventlet cannot serve here, or None if it can.

    This imports eventlet but patches nothing.
    """
    os.environ["EVENTLET_NO_GREENDNS"] = "yes"  # eventlet reads these two when it is imported
    os.environ["EVENTLET_THREADPOOL_SIZE"] = "2"  # one for the store, one for long computations
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    try:
        import eventlet  # type: ignore[import-untyped]
        import eventlet.tpool  # type: ignore[import-untyped]
        from eventlet.websocket import RFC6455WebSocket  # type: ignore[import-untyped]
    except (ImportError, AttributeError, OSError) as error:
        return f"eventlet cannot be imported ({error})."
    if not callable(getattr(RFC6455WebSocket, "_apply_mask", None)):
        return f"eventlet {eventlet.__version__} has no RFC6455WebSocket._apply_mask, which is needed."
    with eventlet.Timeout(5, False):
        if eventlet.spawn(lambda: 1).wait() == 1:
            return None
    return "The event loop of eventlet does not run."


def patch_standard_library() -> None:
    """Make the standard library cooperate with eventlet.

    Call this after `check_eventlet` and before any other import.
    """
    import eventlet
    from eventlet.websocket import RFC6455WebSocket

    eventlet.monkey_patch(os=False, subprocess=False)
    RFC6455WebSocket._apply_mask = staticmethod(unmask)


def shorten_thread_switches() -> None:
    """Let waiting threads get the interpreter lock soon, however busy the event loop is."""
    sys.setswitchinterval(_SWITCH_SECONDS)


def tune_garbage_collector() -> None:
    """Keep the garbage collector from pausing the process.

    The existing objects live until the end, so the collector ignores them from here on. Reference counting frees almost
    all new objects, so the collector may run rarely. With many open drafts, a full collection would otherwise pause the
    process for a fifth of a second.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def unmask(data: bytes, mask: bytes, length: int | None = None, offset: int = 0) -> bytes:
    """Return the XOR of `data[:length]` and the repeated four-byte `mask`, which starts at `offset`.

    eventlet's own function works byte by byte in Python. It blocks the event loop for half a second per megabyte.
    """
    count = len(data) if length is None else length
    if not count:
        return b""
    start = offset % 4
    key = (bytes(mask[start:]) + bytes(mask[:start])) * (count // 4 + 1)
    mixed = int.from_bytes(data[:count], "little") ^ int.from_bytes(key[:count], "little")
    return mixed.to_bytes(count, "little")


def serial_runner(mode: str) -> RunBlocking:
    """Return a function that runs functions in a thread, one at a time, in the order of the calls.

    Two runners do not wait for each other. Under eventlet, the event loop continues while a function runs.
    """
    if mode == EVENTLET:
        return _eventlet_runner()
    from concurrent.futures import ThreadPoolExecutor  # at the top, its locks would be made before the patch

    pool = ThreadPoolExecutor(1, thread_name_prefix="blocking")

    def run(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return pool.submit(function, *args, **kwargs).result()

    return run


def _eventlet_runner() -> RunBlocking:
    from eventlet import semaphore, tpool

    one_at_a_time = semaphore.Semaphore(1)

    def run(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        with one_at_a_time:
            result: R = tpool.execute(function, *args, **kwargs)
        return result

    return run


def serve(mode: str, listener: socket.socket, app: Callable[..., Any]) -> None:
    """Serve `app` on a listening socket in the background, until the process ends."""
    if mode == EVENTLET:
        _serve_eventlet(listener, app)
    else:
        _serve_threads(listener, app)


def _serve_eventlet(listener: socket.socket, app: Callable[..., Any]) -> None:
    import logging

    import eventlet
    import eventlet.wsgi  # type: ignore[import-untyped]

    log = logging.getLogger("storygen.http")
    log.setLevel(logging.WARNING)  # at the level INFO it logs every connection

    class QuietProtocol(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]  # eventlet has no types
        def log_message(self, format: str, *args: object) -> None:
            """Log nothing: a malformed request may contain terminal escapes."""

    class DebugLog:
        def write(self, text: str) -> None:
            logging.getLogger("storygen.sockets").debug("%a", text)

        def flush(self) -> None:
            """Do nothing: `write` keeps nothing."""

    options = {"log": log, "log_output": False, "debug": False, "max_size": 2048, "socket_timeout": 30}
    own = {"protocol": QuietProtocol, "environ": {"wsgi.errors": DebugLog()}}
    eventlet.spawn(eventlet.wsgi.server, listener, app, **options, **own)


def _serve_threads(listener: socket.socket, app: Callable[..., Any]) -> None:
    import threading

    from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

    class QuietHandler(WSGIRequestHandler):
        server_version, sys_version = "StoryGen", ""

        def log(self, type: str, message: str, *args: object) -> None:
            """Log nothing: the path of a request contains the id of a draft."""

    host, port = listener.getsockname()[:2]
    server = ThreadedWSGIServer(host, port, app, handler=QuietHandler, fd=listener.fileno())
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket. Port 0 takes any free port. Raise OSError if the port cannot be used."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform == "win32":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError:
        listener.close()
        raise
    return listener


def raw_socket(environ: Environ) -> socket.socket | None:
    """Return the TCP socket of a request, which eventlet's or Werkzeug's server puts into its environment."""
    if (reader := environ.get("eventlet.input")) is not None:
        found: socket.socket = reader.get_socket()
        return found
    werkzeug: socket.socket | None = environ.get("werkzeug.socket")
    return werkzeug


def cut(environ: Environ) -> None:
    """Shut down the TCP connection of a request, so that the tasks that read from it or write to it end."""
    connection = raw_socket(environ)
    if connection is None:
        return
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        connection.close()  # it is not connected any more


def exit_after(seconds: float, status: int) -> None:
    """End the process after `seconds`, even if a shutdown hangs."""
    thread, clock = _unpatched("threading"), _unpatched("time")

    def end() -> None:
        clock.sleep(seconds)
        os._exit(status)

    thread.Thread(target=end, daemon=True).start()


def _unpatched(module: str) -> Any:
    """Return a module of the standard library without eventlet's patches."""
    patcher = sys.modules.get("eventlet.patcher")
    return importlib.import_module(module) if patcher is None else patcher.original(module)
