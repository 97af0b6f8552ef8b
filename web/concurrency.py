"""How the web process waits: the one module of `web/` that knows eventlet.

Owns the start-up check of eventlet, real threads for blocking work and how soon they get their turn, how rarely the
collector holds everybody up, the faster WebSocket unmasking and the raw socket behind a request. Knows nothing of
stories, events or Flask. Everything else in `web/` starts tasks and sleeps through the Socket.IO server, which does the
right thing in either mode.
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
    from generator.drafts.group_commit import RunBlocking  # at run time it would be imported before the patching

EVENTLET = "eventlet"
THREADING = "threading"

# SQLite lets go of the interpreter at every statement; in a busy process the thread that stores would then wait for it
# up to five milliseconds each time, as Python has it, and all whose edits are in that commit with it. A commit lets go
# some eight times.
_SWITCH_SECONDS = 0.00005

P = ParamSpec("P")
R = TypeVar("R")
Environ = dict[str, Any]


def check_eventlet() -> str | None:
    """Why eventlet cannot serve here, as a sentence, or None when it can. Imports it, but patches nothing."""
    os.environ["EVENTLET_NO_GREENDNS"] = "yes"  # these two are read when eventlet is imported
    os.environ["EVENTLET_THREADPOOL_SIZE"] = "2"  # one for the store, one for what computes for long
    warnings.filterwarnings("ignore", message=r"\s*Eventlet is deprecated")
    try:
        import eventlet  # type: ignore[import-untyped]
        import eventlet.tpool  # type: ignore[import-untyped]
        from eventlet.websocket import RFC6455WebSocket  # type: ignore[import-untyped]
    except (ImportError, AttributeError, OSError) as error:
        return f"eventlet cannot be imported ({error})."
    if not callable(getattr(RFC6455WebSocket, "_apply_mask", None)):
        return f"eventlet {eventlet.__version__} reads WebSocket frames in a way this program does not know."
    with eventlet.Timeout(5, False):
        if eventlet.spawn(lambda: 1).wait() == 1:
            return None
    return "eventlet's loop does not run."


def become_green() -> None:
    """Patch the standard library, after `check_eventlet` and before anything else is imported."""
    import eventlet
    from eventlet.websocket import RFC6455WebSocket

    eventlet.monkey_patch(os=False, subprocess=False)
    RFC6455WebSocket._apply_mask = staticmethod(unmask)


def share_the_interpreter() -> None:
    """Real threads get their turn soon, however busy the loop is."""
    sys.setswitchinterval(_SWITCH_SECONDS)


def spare_the_collector() -> None:
    """What is there by now stays until the end, and what comes is freed without it, but for a few cycles: looking
    through it all every so often would hold everybody up, in a crowd for a fifth of a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)


def unmask(data: bytes, mask: bytes, length: int | None = None, offset: int = 0) -> bytes:
    """XOR `data[:length]` with the repeated four-byte `mask`, begun at `offset`.

    eventlet does this byte by byte in Python: half a second for a megabyte, in which nobody else is served.
    """
    count = len(data) if length is None else length
    if not count:
        return b""
    start = offset % 4
    key = (bytes(mask[start:]) + bytes(mask[:start])) * (count // 4 + 1)
    mixed = int.from_bytes(data[:count], "little") ^ int.from_bytes(key[:count], "little")
    return mixed.to_bytes(count, "little")


def one_at_a_time(mode: str) -> RunBlocking:
    """A runner of functions, one after the other in the order of the calls; two such runners don't wait for each
    other. Under eventlet the hub goes on serving meanwhile."""
    if mode == EVENTLET:
        return _in_turn()
    from concurrent.futures import ThreadPoolExecutor  # not above: its locks would be made before the patching

    pool = ThreadPoolExecutor(1, thread_name_prefix="blocking")

    def run(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return pool.submit(function, *args, **kwargs).result()

    return run


def _in_turn() -> RunBlocking:
    from eventlet import semaphore, tpool

    turn = semaphore.Semaphore(1)

    def run(function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        with turn:
            result: R = tpool.execute(function, *args, **kwargs)
        return result

    return run


def serve(mode: str, listener: socket.socket, app: Callable[..., Any]) -> None:
    """Serve `app` on a listening socket, beside the caller, for as long as the process lives."""
    if mode == EVENTLET:
        _serve_eventlet(listener, app)
    else:
        _serve_threads(listener, app)


def _serve_eventlet(listener: socket.socket, app: Callable[..., Any]) -> None:
    import logging

    import eventlet
    import eventlet.wsgi  # type: ignore[import-untyped]

    log = logging.getLogger("storygen.http")
    log.setLevel(logging.WARNING)  # its other news is every single connection

    class QuietProtocol(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]  # eventlet has no types
        def log_message(self, format: str, *args: object) -> None:
            """What a broken request held is nothing for a terminal."""

    class DebugLog:
        def write(self, text: str) -> None:
            logging.getLogger("storygen.sockets").debug("%a", text)

        def flush(self) -> None:
            """Nothing is kept back."""

    options = {"log": log, "log_output": False, "debug": False, "max_size": 2048, "socket_timeout": 30}
    own = {"protocol": QuietProtocol, "environ": {"wsgi.errors": DebugLog()}}
    eventlet.spawn(eventlet.wsgi.server, listener, app, **options, **own)


def _serve_threads(listener: socket.socket, app: Callable[..., Any]) -> None:
    import threading

    from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

    class QuietHandler(WSGIRequestHandler):
        server_version, sys_version = "StoryGen", ""

        def log(self, type: str, message: str, *args: object) -> None:
            """Requests are counted, not logged: their paths hold the ids of drafts."""

    host, port = listener.getsockname()[:2]
    server = ThreadedWSGIServer(host, port, app, handler=QuietHandler, fd=listener.fileno())
    threading.Thread(target=server.serve_forever, name="http", daemon=True).start()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one. Raises OSError, where somebody else has the port."""
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
    """The TCP socket a request came in by, as eventlet's or Werkzeug's server hands it over."""
    if (reader := environ.get("eventlet.input")) is not None:
        found: socket.socket = reader.get_socket()
        return found
    werkzeug: socket.socket | None = environ.get("werkzeug.socket")
    return werkzeug


def cut(environ: Environ) -> None:
    """Break the connection of a request, so that whoever reads from or writes to it stops."""
    connection = raw_socket(environ)
    if connection is None:
        return
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        connection.close()  # it was broken already


def exit_after(seconds: float, status: int) -> None:
    """End the process after `seconds`, whatever still runs: for a shutdown that hangs."""
    thread, clock = _real("threading"), _real("time")

    def end() -> None:
        clock.sleep(seconds)
        os._exit(status)

    thread.Thread(target=end, daemon=True).start()


def _real(module: str) -> Any:
    """A module of the standard library as it is without patching."""
    patcher = sys.modules.get("eventlet.patcher")
    return importlib.import_module(module) if patcher is None else patcher.original(module)
