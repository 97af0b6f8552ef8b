"""StoryGen's server: reads the settings, puts the parts together and serves until it is told to stop.

The composition root: the only place that knows every part, and the only one where the standard library is
patched. Exit codes: 0 stopped, 1 a failure, 2 a setting or the surroundings do not allow a start.
"""

# ruff: noqa: E402  # what eventlet patches must be patched before it is imported
from __future__ import annotations

import os
import sys
from pathlib import Path

from web import concurrency
from web.settings import ServerSettings, SettingsError, parse, take_command


def _settings() -> tuple[tuple[str, Path] | None, ServerSettings]:
    """A command that is to be run instead of the server, if there is one, and the settings."""
    try:
        command, arguments = take_command(sys.argv[1:])
        return command, parse(arguments, os.environ)
    except SettingsError as error:
        sys.exit(_complaint(str(error)))


def _complaint(sentence: str) -> int:
    """Tell the person who started this why it cannot; returns the exit code."""
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201
    return 2


def _async_mode(settings: ServerSettings) -> str:
    """The mode to serve in; patches the standard library when it is eventlet."""
    if settings.async_mode != concurrency.EVENTLET:
        return settings.async_mode
    problem = concurrency.check_eventlet()
    if problem is None:
        concurrency.become_green()
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
    log_to_stderr(settings.log_level, settings.log_format)
    concurrency.share_the_interpreter()
    run_blocking = concurrency.one_at_a_time(mode)
    try:
        hold = folder.FolderLock(settings.data)
        key = signing_key(settings.data / folder.KEY_FILE)
        store = run_blocking(Store, settings.data / folder.DATABASE)
    except (OSError, StoreError) as error:
        return _complaint(f"Stories cannot be kept in {settings.data}: {error}")
    try:
        listener = concurrency.listen(settings.host, settings.port)
    except OSError as error:
        return _complaint(_why_not_listening(settings, error))
    _serve(settings, mode, key, store, run_blocking, listener)
    hold.close()
    return 0


def copy(command: str, file: Path, data: Path) -> int:
    """Back up or restore the stories in `data`."""
    try:
        if command == "backup":
            folder.backup(data, file)
            done = f"The stories are in {file}; keep {data / folder.KEY_FILE} as well, which tells whose they are."
        else:
            before = folder.restore(data, file)
            done = f"The stories of {file} are back." + (f" Those before are in {before}." if before else "")
    except (OSError, StoreError) as error:
        return _complaint(f"That did not work: {error}")
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
    port = listener.getsockname()[1]
    limits = AddressLimits(open=settings.pages_per_address)
    reached = (settings.public_origin, settings.behind_proxy)
    app = WebApp(EdgeSettings(settings.host, port, key, ROOT, mode, *reached, address_limits=limits))
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
    compute = concurrency.one_at_a_time(mode)
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

    concurrency.spare_the_collector()
    serve_until_stopped(mode, listener, app.wsgi, app.close_connections, close)


def _why_not_listening(settings: ServerSettings, error: OSError) -> str:
    return (
        f"Port {settings.port} of {settings.host} cannot be used ({error.strerror or error}); "
        "perhaps StoryGen is running already. Stop the other program, or choose another port with --port."
    )


if __name__ == "__main__":
    sys.exit(copy(*COMMAND, SETTINGS.data) if COMMAND else main(SETTINGS, MODE))
