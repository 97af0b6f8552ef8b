"""Server: the composition root, which reads the settings, connects the parts and serves until it is stopped.

Owns the order of the start and the moment at which eventlet patches the standard library. The only module that knows
every part. Exit codes: 0 after a stop, 1 after a failure, 2 if a setting or the machine does not allow a start.
"""

# ruff: noqa: E402  # eventlet must patch the standard library before other modules import it
from __future__ import annotations

import os
import sys
from pathlib import Path

from web import concurrency
from web.settings import ServerSettings, SettingsError, parse, take_command


def _settings() -> tuple[tuple[str, Path] | None, ServerSettings]:
    """Return the command to run instead of the server, or None, and the settings. Exits with 2 for a mistake."""
    try:
        command, arguments = take_command(sys.argv[1:])
        return command, parse(arguments, os.environ)
    except SettingsError as error:
        sys.exit(_report(str(error)))


def _report(sentence: str) -> int:
    """Print why the server cannot start or the command failed, and return the exit code."""
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201
    return 2


def _async_mode(settings: ServerSettings) -> str:
    """Return the mode to serve in. Patch the standard library if the mode is eventlet."""
    if settings.async_mode != concurrency.EVENTLET:
        return settings.async_mode
    problem = concurrency.check_eventlet()
    if problem is None:
        concurrency.patch_standard_library()
        return concurrency.EVENTLET
    print(f"{problem} Threads are used instead.", file=sys.stderr, flush=True)  # noqa: T201
    return concurrency.THREADING


if __name__ == "__main__":
    COMMAND, SETTINGS = _settings()
    MODE = concurrency.THREADING if COMMAND else _async_mode(SETTINGS)

import functools
import logging
import socket

from generator.drafts.group_commit import RunBlocking
from generator.drafts.open_drafts import OpenDrafts
from generator.engine_host.supervisor import ENGINE_COMMAND, EngineSupervisor
from generator.library.library import Library
from generator.library.retention import Retention
from generator.models.hub_check import HubCheck
from generator.models.menu import Menu
from stories.errors import StoreError
from stories.storage import folder
from stories.storage.store import Store
from web.addresses import AddressLimits
from web.app import EdgeSettings, WebApp
from web.logs import log_to_stderr
from web.owner import signing_key
from web.serve import serve_until_stopped

ROOT = Path(__file__).resolve().parent

log = logging.getLogger("storygen")


def main(settings: ServerSettings, mode: str) -> int:
    """Open the data folder and the port, and serve until stopped. Return the exit code."""
    log_to_stderr(settings.log_level, settings.log_format)
    concurrency.shorten_thread_switches()
    run_blocking = concurrency.serial_runner(mode)
    try:
        data_lock = folder.FolderLock(settings.data)
        key = signing_key(settings.data / folder.KEY_FILE)
        store = run_blocking(Store, settings.data / folder.DATABASE)
    except (OSError, StoreError) as error:
        return _report(f"StoryGen cannot use the data folder {settings.data}: {error}")
    try:
        listener = concurrency.listen(settings.host, settings.port)
    except OSError as error:
        return _report(_port_problem(settings, error))
    _serve(settings, mode, key, store, run_blocking, listener)
    data_lock.close()
    return 0


def copy(command: str, file: Path, data: Path) -> int:
    """Back up the stories in `data` to `file`, or restore them from it. Return the exit code."""
    try:
        if command == "backup":
            folder.backup(data, file)
            done = f"The stories are in {file}. Keep {data / folder.KEY_FILE} as well, which identifies their owners."
        else:
            before = folder.restore(data, file)
            done = f"The stories of {file} are restored."
            done += f" The previous stories are in {before}." if before else ""
    except (OSError, StoreError) as error:
        return _report(f"The {command} failed: {error}")
    print(done)  # noqa: T201
    return 0


def _serve(
    settings: ServerSettings,
    mode: str,
    key: bytes,
    store: Store,
    run_blocking: RunBlocking,
    listener: socket.socket,
) -> None:
    """Connect all parts and serve until stopped, then close them."""
    port = listener.getsockname()[1]
    limits = AddressLimits(open=settings.pages_per_address)
    public = (settings.public_origin, settings.behind_proxy)
    app = WebApp(EdgeSettings(settings.host, port, key, ROOT, mode, *public, address_limits=limits))
    menu = Menu(ROOT, ROOT / "static" / "config.js", HubCheck(), settings.fake_models)
    boot = {
        "root": str(ROOT),
        "threads": settings.threads,
        "device": settings.device,
        "precision": settings.precision,
        "memory": settings.memory,
        "log_format": settings.log_format,
    }
    make_engine = functools.partial(EngineSupervisor, ENGINE_COMMAND, boot)
    compute = concurrency.serial_runner(mode)
    lag = app.lag
    drafts = OpenDrafts(
        store, menu, run_blocking, app.publish, make_engine, app.metrics.reacted, lambda: lag.seconds, compute
    )
    app.connect(drafts, Library(store, menu, run_blocking, drafts), menu)
    app.start_tasks()
    retention = Retention(store, run_blocking, drafts, settings.keep_days)

    def close() -> None:
        retention.close()
        drafts.close()
        run_blocking(store.close)

    concurrency.tune_garbage_collector()
    serve_until_stopped(mode, listener, app.wsgi, app.close_connections, close)


def _port_problem(settings: ServerSettings, error: OSError) -> str:
    """Return the message for a port that cannot be opened."""
    return (
        f"Port {settings.port} of {settings.host} cannot be used ({error.strerror or error}). "
        "StoryGen may be running already. Stop the other program, or choose another port with --port."
    )


if __name__ == "__main__":
    sys.exit(copy(*COMMAND, SETTINGS.data) if COMMAND else main(SETTINGS, MODE))
