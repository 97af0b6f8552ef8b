"""Network faults: each of twelve begins while a person types; pages converge, and no letter is lost or doubled."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.app.server import AppServer
from tests.rig.fault_proxy import FAULTS, FaultProxy
from tests.rig.figures import new_seed, share, show, spread
from tests.rig.stubborn_page import StubbornPage

pytestmark = pytest.mark.app

LONG_RUNS = 50  # of each fault
AT_ONCE = 6
OWN, OTHERS = 0x4E00, 0x3400  # letters that no model writes, each typed once


@dataclass(frozen=True)
class Outcome:
    connections: int
    healing_seconds: float


def converge(app: AppServer, name: str, seed: str) -> Outcome:
    """Run one story: typing before, during and after a fault, with a model and a second page on a good network."""
    randomness, pause = random.Random(seed), threading.Event()
    draft, origin = app.draft(model="Fake paced-10"), f"http://127.0.0.1:{app.port}"
    own, others = "", ""
    with (
        FaultProxy(app.port, seed) as network,
        app.page(draft) as other,
        StubbornPage(f"ws://127.0.0.1:{network.port}", app.cookie, draft, origin) as page,
    ):
        other.ask("start")
        for step in range(14):
            if step == 4:
                network.strike(FAULTS[name])
            if randomness.random() < 0.7:
                own += chr(OWN + step)
                page.type(own[-1], at=randomness.choice([None, randomness.randrange(len(page.text) + 1)]))
            else:
                others += chr(OTHERS + step)
                other.type(others[-1], at=randomness.randrange(len(other.text) + 1))
            if step % 4 == 3:
                assert_saved_edits_are_stored(app, page, own)
            pause.wait(randomness.random() * 0.2)
        pause.wait(randomness.random() * 2)
        network.heal()
        healed = time.monotonic()
        page.settle()
        healing = time.monotonic() - healed
        other.settle()
        reached = other.ask("pause")["revision"]
        page.wait_until(lambda: page.revision >= reached)
        other.wait_until(lambda: other.revision >= reached)
        assert page.text == other.text == app.text(draft)
        assert sorted(letter for letter in page.text if OTHERS <= ord(letter) < 0xD800) == sorted(own + others)
        return Outcome(page.connections, healing)


def assert_saved_edits_are_stored(app: AppServer, page: StubbornPage, typed: str) -> None:
    if page.is_saved:
        stored = app.text(page.draft)
        assert all(letter in stored for letter in typed), "the page says Saved, but the server does not have all edits"


def test_pages_converge_after_every_fault(app: AppServer) -> None:
    run_faults(app, 1)


@pytest.mark.long
def test_pages_converge_after_every_fault_many_times(app: AppServer) -> None:
    run_faults(app, share(LONG_RUNS))


def run_faults(app: AppServer, runs: int) -> None:
    seed = new_seed()
    print(f"seed {seed}")  # noqa: T201  # shown when the test fails
    stories = [(name, f"{seed} {name} {run}") for run in range(runs) for name in FAULTS]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(lambda story: converge(app, *story), stories))
    reconnected = sum(outcome.connections > 1 for outcome in outcomes)
    healing = spread([outcome.healing_seconds for outcome in outcomes])
    show("network faults", seed, faults=len(FAULTS), runs=len(outcomes), reconnected=reconnected, healing_ms=healing)
