"""The engine process: `python -m generator.engine`, started by the web process and by nothing else.

Owns the order of a start: one line of options from stdin, connect, say hello, serve, and meanwhile import the large
libraries, which take seconds: the first model waits for them, editing and other models do not. Stdin is closed before:
on Windows a thread blocked on a pipe hangs native imports.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from generator.engine.loop import Loop
from generator.engine.networks.runner import LoadOptions
from generator.engine.process.connection import ParentConnection, leave
from generator.engine.process.log import kind_and_place, log, write_as
from generator.wire.messages import EngineEvent, Hello, Imported, Ready

EXIT_BAD_OPTIONS = 2
EXIT_NO_WEB_PROCESS = 3
EXIT_CRASHED = 5


def main() -> None:
    """Options: `{port, token, threads?, device?, precision?, memory?, root?, libraries?, log_format?}`, `memory` in MB.

    `libraries: false` leaves torch and transformers unimported until a model needs them."""
    try:
        given = json.loads(sys.stdin.buffer.readline())
        write_as(str(given.get("log_format")))
        port, token = int(given["port"]), str(given["token"])
        options = _load_options(given)
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        sys.exit(_complain(EXIT_BAD_OPTIONS, f"the line of options is wrong: {error!r}"))
    sys.stdin.close()
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    # Threads that spin while they wait take the cores from the web process and the browser; threads that sleep at
    # once wake late, many times a token. So they spin for some microseconds, then sleep (docs/experiments/0005).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    try:
        connection = ParentConnection(port)
    except OSError as error:
        sys.exit(_complain(EXIT_NO_WEB_PROCESS, f"nobody listens on port {port}: {error}"))
    connection.send(Hello(token, os.getpid()))
    loop = Loop(options, connection.send)
    connection.start_reading(loop.submit)
    connection.send(Ready(options.threads or os.cpu_count() or 1))
    if given.get("libraries", True):
        importing = (options.device, connection.send)
        threading.Thread(target=_import_libraries, args=importing, name="importing", daemon=True).start()
    try:
        loop.run()
    except Exception as error:  # noqa: BLE001 - the web process learns it from the exit and starts another
        leave(EXIT_CRASHED, f"crashed: {kind_and_place(error)}")


def _load_options(given: dict[str, Any]) -> LoadOptions:
    return LoadOptions(
        root=Path(given.get("root") or "."),
        device=str(given.get("device") or "auto"),
        precision=str(given.get("precision") or "auto"),
        threads=int(given.get("threads") or 0),
        memory=int(given.get("memory") or 4000) * 10**6,
    )


def _import_libraries(device: str, publish: Callable[[EngineEvent], None]) -> None:
    """Import what models need, now rather than when somebody waits. A model that is asked for meanwhile waits here, at
    the same import; where it fails, each model's loading says so."""
    try:
        from generator.engine.loading.load import choose_device

        device = choose_device(device)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with the libraries is wrong with their models alone
        log(f"the libraries of models cannot be used: {type(error).__name__}: {error}")
        return
    publish(Imported(device))


def _complain(code: int, reason: str) -> int:
    log(reason)
    return code


if __name__ == "__main__":
    main()
