"""Kills: server, engine or both are killed at random while people type, and no acknowledged edit is lost or doubled."""

from __future__ import annotations

import random
import socket
import time
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psutil
import pytest

from tests.app.live_page import LivePage
from tests.app.server import AppServer, running_server
from tests.rig.figures import new_seed, share, show, spread
from tests.rig.story_file import assert_gapless, missing_letters, stored_stories
from tests.rig.stubborn_page import StubbornPage
from tests.rig.typist import FIRST_LETTER, LETTERS, Typist, nap, wait_for

pytestmark = pytest.mark.app

LONG_KILLS = [
    ("server", "eventlet", 300),
    ("engine", "eventlet", 300),
    ("both", "eventlet", 100),
    ("server", "threading", 100),
    ("engine", "threading", 30),
]
ENGINE_KILLS = 3  # per life of a server, which waits longer before it starts an engine after more of them


class Ordeal:
    """One story with two people typing, and a server that is killed again and again."""

    def __init__(self, data: Path, mode: str, seed: int) -> None:
        self._data, self._mode, self._seed = data, mode, seed
        self._random = random.Random(seed)
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port: int = free.getsockname()[1]
        self._typists: list[Typist] = []
        self._draft = self._cookie = ""
        self.engine_seconds: list[float] = []
        self.orphan_seconds: list[float] = []

    @property
    def typed(self) -> int:
        """The number of letters typed by both people."""
        return sum(len(typist.typed) for typist in self._typists)

    def run(self, victim: str, kills: int) -> None:
        """Kill the `victim` until it was killed `kills` times, then compare all texts."""
        with ExitStack() as pages:
            while kills > 0:
                kills -= self._life(victim, kills, pages)
            with self._server():
                self._end()

    def _server(self) -> AbstractContextManager[AppServer]:
        return running_server(self._data, self._mode, fakes="paced-30", port=self._port)

    def _life(self, victim: str, kills: int, pages: ExitStack) -> int:
        """Run the server once, until it or its engines are killed. Return the number of kills."""
        with self._server() as app:
            if not self._typists:
                self._begin(app, pages)
            if victim == "engine":
                return self._lose_engines(app, min(kills, ENGINE_KILLS))
            if victim == "both" or self._random.random() < 0.2:
                wait_for(lambda: is_ready(app))
            nap(self._random.random() * 1.5)
            confirmed, acked = self._kill_server(app, victim == "both")
        with stored_stories(self._data) as store:
            assert assert_gapless(store, self._draft) >= acked
            for letters in confirmed:
                assert missing_letters(store, self._draft, letters) == "", f"the last typed were {letters[-5:]}"
        return 1

    def _begin(self, app: AppServer, pages: ExitStack) -> None:
        self._draft, self._cookie = app.draft(model="Fake"), app.cookie
        with app.page(self._draft) as starter:
            starter.ask("start")
        for number in range(2):
            page = StubbornPage(f"ws://127.0.0.1:{app.port}", app.cookie, self._draft, f"http://127.0.0.1:{app.port}")
            typist = Typist(pages.enter_context(page), FIRST_LETTER + number * LETTERS, f"{self._seed} {number}")
            typist.start()
            pages.callback(typist.stop)
            self._typists.append(typist)

    def _lose_engines(self, app: AppServer, kills: int) -> int:
        for _ in range(kills):
            wait_for(lambda: is_ready(app))
            nap(self._random.random())
            app.engine().kill()
            killed = time.monotonic()
            wait_for(lambda: not is_ready(app))
            wait_for(lambda: is_ready(app))
            self.engine_seconds.append(time.monotonic() - killed)
        return kills

    def _kill_server(self, app: AppServer, both: bool) -> tuple[list[str], int]:
        """Return the letters that were confirmed to each person, and the highest acknowledged revision."""
        engines = app.process.children(recursive=True)
        app.process.kill()
        killed = time.monotonic()
        for engine in engines if both else []:
            engine.kill()
        app.process.wait(10)
        wait_for(lambda: not any(is_alive(engine) for engine in engines))
        self.orphan_seconds.append(time.monotonic() - killed)
        nap(0.1)  # for messages that the server had sent already
        confirmed = [typist.page.confirmed(typist.typed) for typist in self._typists]
        return confirmed, max(typist.page.acked_revision for typist in self._typists)

    def _end(self) -> None:
        for typist in self._typists:
            typist.stop()
            typist.page.settle()
        with LivePage(self._port, self._cookie, self._draft) as page:
            reached = page.ask("pause")["revision"]
            page.wait_until(lambda: page.revision >= reached)
            for typist in self._typists:
                typist.page.wait_until(lambda: typist.page.revision >= reached)  # noqa: B023
                assert typist.page.text == page.text
                assert all(page.text.count(letter) == 1 for letter in typist.typed)


def is_ready(app: AppServer) -> bool:
    return bool(app.get("/readyz")["state"] == "ready")


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def run_kills(tmp_path: Path, mode: str, victim: str, kills: int) -> None:
    seed = new_seed()
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    ordeal = Ordeal(tmp_path, mode, seed)
    ordeal.run(victim, kills)
    figures = {"engine_back_ms": spread(ordeal.engine_seconds), "orphan_gone_ms": spread(ordeal.orphan_seconds)}
    show(f"kill {victim}", seed, mode=mode, kills=kills, typed=ordeal.typed, lost=0, doubled=0, **figures)


def test_no_acknowledged_edit_is_lost_in_a_few_kills(tmp_path: Path) -> None:
    run_kills(tmp_path, "eventlet", "server", 3)


@pytest.mark.long
@pytest.mark.parametrize(("victim", "mode", "kills"), LONG_KILLS)
def test_no_acknowledged_edit_is_lost_in_many_kills(tmp_path: Path, victim: str, mode: str, kills: int) -> None:
    run_kills(tmp_path, mode, victim, share(kills))
