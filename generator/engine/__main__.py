"""Engine process: `python -m generator.engine`, which only the web process starts.

Owns the order of a start: read one line of options from stdin, connect, greet, and serve. A thread imports the large
libraries meanwhile, which takes seconds. Models that need them wait; editing and the fake model do not. Stdin is closed
before the import, because on Windows a thread that is blocked on a pipe hangs the import of native libraries. Knows
nothing of drafts or steps.
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
from generator.engine.process.log import kind_and_place, log, set_format
from generator.wire.messages import EngineEvent, Hello, Imported, Ready

EXIT_BAD_OPTIONS = 2
EXIT_NO_WEB_PROCESS = 3
EXIT_CRASHED = 5


def main() -> None:
    """Run the engine with the options on stdin, which are one line of JSON.

    The options are `{port, token, threads?, device?, precision?, memory?, root?, libraries?, log_format?}`. `memory` is
    in MB. With `libraries: false` torch and transformers are imported only when a model needs them.
    """
    try:
        given = json.loads(sys.stdin.buffer.readline())
        set_format(str(given.get("log_format")))
        port, token = int(given["port"]), str(given["token"])
        options = _load_options(given)
    except (AttributeError, ValueError, KeyError, TypeError) as error:
        sys.exit(_complain(EXIT_BAD_OPTIONS, f"The line of options on stdin is wrong: {error!r}"))
    sys.stdin.close()
    if options.threads:
        os.environ["OMP_NUM_THREADS"] = str(options.threads)
    # OpenMP threads spin for some microseconds, then sleep (docs/experiments/0005). Threads that only spin would take
    # the cores from the web process and the browser. Threads that sleep at once would wake late, many times per token.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    try:
        connection = ParentConnection(port)
    except OSError as error:
        sys.exit(_complain(EXIT_NO_WEB_PROCESS, f"The web process does not listen on port {port}: {error}"))
    connection.send(Hello(token))
    loop = Loop(options, connection.send)
    connection.start_reading(loop.submit)
    connection.send(Ready(options.threads or os.cpu_count() or 1))
    if given.get("libraries", True):
        importing = (options.device, connection.send)
        threading.Thread(target=_import_libraries, args=importing, name="importing", daemon=True).start()
    try:
        loop.run()
    except Exception as error:  # noqa: BLE001 - the web process sees the exit status and starts another engine
        leave(EXIT_CRASHED, f"The engine crashed: {kind_and_place(error)}")


def _load_options(given: dict[str, Any]) -> LoadOptions:
    return LoadOptions(
        root=Path(given.get("root") or "."),
        device=str(given.get("device") or "auto"),
        precision=str(given.get("precision") or "auto"),
        threads=int(given.get("threads") or 0),
        memory=int(given.get("memory") or 4000) * 10**6,
    )


def _import_libraries(device: str, publish: Callable[[EngineEvent], None]) -> None:
    """Import the libraries of the models before a user waits for them.

    A load that starts meanwhile waits for this import. If the import fails, every load publishes the error.
    """
    try:
        from generator.engine.loading.load import choose_device

        device = choose_device(device)
    except Exception as error:  # noqa: BLE001 - broken libraries must not stop models that do not need them
        log(f"The libraries of the models cannot be used: {type(error).__name__}: {error}")
        return
    publish(Imported(device))


def _complain(code: int, reason: str) -> int:
    log(reason)
    return code


if __name__ == "__main__":
    main()
