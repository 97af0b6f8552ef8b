"""Server, engine or both are killed at random instants while people type: nothing acknowledged is lost or doubled."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psutil
import pytest

from tests.app.live_page import LivePage
from tests.app.server import AppServer, running_server
from tests.rig.figures import new_seed, share, show, spread
from tests.rig.story_file import assert_gapless, lacks, left_behind
from tests.rig.stubborn_page import StubbornPage

pytestmark = pytest.mark.app

LONG_KILLS = [
    ("server", "eventlet", 300),
    ("engine", "eventlet", 300),
    ("both", "eventlet", 100),
    ("server", "threading", 100),
    ("engine", "threading", 30),
]
ENGINE_KILLS = 3  # of one server's life: one that loses its engine more often waits longer with the next
FIRST_LETTER, LETTERS = 0x4E00, 10_000  # letters no model writes, each typed once
PATIENCE_SECONDS = 90.0
MOST_UNSENT = 60


class Typist(threading.Thread):
    """Types letter after letter at random places until told to stop, or until there are no more that nobody else types;
    waits where very much is unsent, since each letter then costs this process more than the server."""

    def __init__(self, page: StubbornPage, first: int, seed: str) -> None:
        super().__init__(daemon=True)
        self.page, self.typed = page, ""
        self._first, self._random = first, random.Random(seed)
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(self._random.random() * 0.2):
            if len(self.page.unconfirmed) > MOST_UNSENT or len(self.typed) == LETTERS:
                continue
            letter = chr(self._first + len(self.typed))
            at = self._random.choice([None, self._random.randrange(len(self.page.text) + 1)])
            self.page.type(letter, at=at)
            self.typed += letter  # now that the page has it: what it does not hold any more counts as confirmed

    def stop(self) -> None:
        self._stopped.set()
        self.join()


class Ordeal:
    """One story, two people on it, and a server that is killed under them again and again."""

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
        return sum(len(typist.typed) for typist in self._typists)

    def suffer(self, victim: str, kills: int) -> None:
        with ExitStack() as pages:
            while kills > 0:
                kills -= self._life(victim, kills, pages)
            with self._server():
                self._end()

    def _server(self) -> AbstractContextManager[AppServer]:
        return running_server(self._data, self._mode, fakes="paced-30", port=self._port)

    def _life(self, victim: str, kills: int, pages: ExitStack) -> int:
        """One life of the server. Returns how many of `kills` it took."""
        with self._server() as app:
            if not self._typists:
                self._begin(app, pages)
            if victim == "engine":
                return self._lose_engines(app, min(kills, ENGINE_KILLS))
            if victim == "both" or self._random.random() < 0.2:
                wait_for(lambda: is_ready(app))
            nap(self._random.random() * 1.5)
            confirmed, acked = self._kill_server(app, victim == "both")
        with left_behind(self._data) as store:
            assert assert_gapless(store, self._draft) >= acked
            for letters in confirmed:
                assert lacks(store, self._draft, letters) == "", f"the last typed were {letters[-5:]}"
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
        """Returns the letters that were confirmed to each person, and the highest revision acknowledged."""
        engines = app.process.children(recursive=True)
        app.process.kill()
        killed = time.monotonic()
        for engine in engines if both else []:
            engine.kill()
        app.process.wait(10)
        wait_for(lambda: not any(is_alive(engine) for engine in engines))
        self.orphan_seconds.append(time.monotonic() - killed)
        nap(0.1)  # for what the server had sent already
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


def nap(seconds: float) -> None:
    threading.Event().wait(seconds)


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        nap(0.02)


def is_ready(app: AppServer) -> bool:
    return bool(app.get("/readyz")["state"] == "ready")


def is_alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def survive(tmp_path: Path, mode: str, victim: str, kills: int) -> None:
    seed = new_seed()
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    ordeal = Ordeal(tmp_path, mode, seed)
    ordeal.suffer(victim, kills)
    figures = {"engine_back_ms": spread(ordeal.engine_seconds), "orphan_gone_ms": spread(ordeal.orphan_seconds)}
    show(f"kill {victim}", seed, mode=mode, kills=kills, typed=ordeal.typed, lost=0, doubled=0, **figures)


def test_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    survive(tmp_path, "eventlet", "server", 3)


@pytest.mark.long
@pytest.mark.parametrize(("victim", "mode", "kills"), LONG_KILLS)
def test_nothing_acknowledged_is_lost_in_many_kills(tmp_path: Path, victim: str, mode: str, kills: int) -> None:
    survive(tmp_path, mode, victim, share(kills))
