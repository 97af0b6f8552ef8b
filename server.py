"""StoryGen's server: reads the settings, puts the parts together and serves until it is told to stop.

The composition root: the only place that knows every part, and the only one where the standard library is
patched. Exit codes: 0 stopped, 1 a failure, 2 a setting or the surroundings do not allow a start.
"""

# ruff: noqa: E402  # what eventlet patches must be patched before it is imported
from __future__ import annotations

import os
import sys

from web import concurrency
from web.settings import Settings, SettingsError, parse


def _settings() -> Settings:
    try:
        return parse(sys.argv[1:], os.environ)
    except SettingsError as error:
        sys.exit(_complaint(str(error)))


def _complaint(sentence: str) -> int:
    """Tell the person who started this why it cannot; returns the exit code."""
    print(sentence, file=sys.stderr, flush=True)  # noqa: T201
    return 2


def _async_mode(settings: Settings) -> str:
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
    SETTINGS = _settings()
    MODE = _async_mode(SETTINGS)

import functools
import logging
import socket
from pathlib import Path

from generator.desk import Desk
from generator.engine_client import ENGINE_COMMAND, EngineClient
from generator.library import Library
from generator.menu import Menu
from generator.model_hub import Hub
from stories.store import Store, StoreError
from web.app import Edge, WebApp
from web.owner import signing_key
from web.serving import serve_until_stopped

ROOT = Path(__file__).resolve().parent
DATABASE = "stories.db"
KEY_FILE = "secret.key"

log = logging.getLogger("storygen")


def main(settings: Settings, mode: str) -> int:
    logging.basicConfig(level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s")
    run_blocking = concurrency.blocking_runner(mode)
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        key = signing_key(settings.data / KEY_FILE)
        store = run_blocking(Store, settings.data / DATABASE)
    except (OSError, StoreError) as error:
        return _complaint(f"Stories cannot be kept in {settings.data}: {error}")
    try:
        listener = concurrency.listen(settings.host, settings.port)
    except OSError as error:
        return _complaint(_why_not_listening(settings, error))
    _serve(settings, mode, key, store, run_blocking, listener)
    return 0


def _serve(
    settings: Settings,
    mode: str,
    key: bytes,
    store: Store,
    run_blocking: concurrency.RunBlocking,
    listener: socket.socket,
) -> None:
    port = listener.getsockname()[1]
    app = WebApp(Edge(settings.host, port, key, ROOT, mode, settings.public_origin, settings.behind_proxy))
    menu = Menu(ROOT, ROOT / "static" / "config.js", Hub(), settings.fake_models)
    boot = {
        "root": str(ROOT),
        "threads": settings.threads,
        "device": settings.device,
        "precision": settings.precision,
        "memory": settings.memory,
    }
    make_engine = functools.partial(EngineClient, ENGINE_COMMAND, boot)
    desk = Desk(store, menu, run_blocking, app.publish, make_engine)
    app.connect(desk, Library(store, menu, run_blocking, desk), menu)
    app.start_tasks()

    def close() -> None:
        desk.close()
        run_blocking(store.close)

    serve_until_stopped(mode, listener, app.wsgi, app.close_connections, close)


def _why_not_listening(settings: Settings, error: OSError) -> str:
    return (
        f"Port {settings.port} of {settings.host} cannot be used ({error.strerror or error}); "
        "perhaps StoryGen is running already. Stop the other program, or choose another port with --port."
    )


if __name__ == "__main__":
    sys.exit(main(SETTINGS, MODE))
