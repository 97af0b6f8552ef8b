"""The engine client against real child processes that crash, hang, lie and talk nonsense."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from generator.engine_host.connection import EngineTimeouts
from generator.engine_host.supervisor import EngineSupervisor, RestartPolicy
from generator.wire.messages import Budget, Chunk, EngineCommand, EngineEvent, ModelSpec, Set
from generator.wire.sampling_params import SamplingParams

SCRIPT = Path(__file__).with_name("engine_script.py")
CHECKOUT = SCRIPT.parents[2]
QUICK = RestartPolicy(greeting=20, first_delay=0.02, crashes=4, window=600, rest=0.7)
WAIT = 20.0


def a_set(sequence: str, epoch: int = 1) -> Set:
    spec, sampling = ModelSpec("fake", "instant"), SamplingParams(seed=1)
    return Set(sequence, epoch, "owner", spec, None, (), (), sampling, 1, 0, 0, 5)


class Desk:
    """Notes what the client calls back, and lets a test wait for the next one."""

    def __init__(self, on_up: Callable[[], None] = lambda: None) -> None:
        self.notes: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._on_up = on_up

    def event(self, event: EngineEvent) -> None:
        self.notes.put(("event", event))

    def up(self) -> None:
        self._on_up()
        self.notes.put(("up", None))

    def down(self, reason: str) -> None:
        self.notes.put(("down", reason))

    def next(self, kind: str) -> Any:
        found, value = self.notes.get(timeout=WAIT)
        assert found == kind, value
        return value


@contextmanager
def client(
    *behaviour: str, desk: Desk, limits: EngineTimeouts | None = None, patience: RestartPolicy = QUICK
) -> Iterator[EngineSupervisor]:
    command = (sys.executable, str(SCRIPT), *behaviour)
    running = EngineSupervisor(
        command, {"threads": 1}, desk.event, desk.up, desk.down, patience, limits or EngineTimeouts(ping=0.05)
    )
    running.start()
    try:
        yield running
    finally:
        running.stop()
    assert not running.is_up


@contextmanager
def longest_standstill() -> Iterator[list[float]]:
    """How long another thread, under eventlet a green one, was kept from running, each time, in seconds."""
    gaps, done = [0.0], threading.Event()

    def tick() -> None:
        last = time.monotonic()
        while not done.wait(0.01):
            now = time.monotonic()
            gaps.append(now - last)
            last = now

    ticker = threading.Thread(target=tick)
    ticker.start()
    try:
        yield gaps
    finally:
        done.set()
        ticker.join()


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True) if child.status() != psutil.STATUS_ZOMBIE}


def test_commands_reach_the_engine_and_events_come_back_in_order() -> None:
    desk = Desk()
    with client("serves", desk=desk) as engine:
        desk.next("up")
        assert engine.is_up
        for epoch in range(50):
            engine.send(a_set(f"s{epoch}", epoch))
        chunks: list[Chunk] = [desk.next("event") for _ in range(50)]
    assert [chunk.text for chunk in chunks] == [f"s{epoch}@{epoch}" for epoch in range(50)]
    assert engine.restarts == 0


def test_stop_leaves_no_process_and_calls_nobody() -> None:
    before, desk = children(), Desk()
    with client("serves", desk=desk):
        desk.next("up")
        assert children() > before
    assert children() == before
    assert desk.notes.empty()


def test_an_engine_that_ignores_its_closed_connection_is_ended_and_nobody_waits_for_it() -> None:
    before, desk = children(), Desk()
    with longest_standstill() as gaps:
        with client("stubborn", desk=desk):
            while children() == before:
                threading.Event().wait(0.02)
        assert children() == before
    assert max(gaps) < 0.5


def test_stop_does_not_wait_for_an_engine_that_never_greets() -> None:
    desk = Desk()
    with client("never-greets", desk=desk):
        pass
    assert desk.notes.empty()


def test_impostors_are_turned_away_until_the_right_token_comes() -> None:
    desk = Desk()
    with client("impostors-first", desk=desk) as engine:
        desk.next("up")
    assert engine.restarts == 0


def test_a_crashed_engine_is_back_and_gets_the_commands_sent_on_up(tmp_path: Path) -> None:
    sent: list[EngineCommand] = [a_set("first")]
    desk = Desk(lambda: engine.send(sent[0]))
    with client("crashes-until-file", str(tmp_path / "crashed"), desk=desk) as engine:
        assert "exit status 7" in desk.next("down")
        desk.next("up")
        assert desk.next("event").text == "first@1"
        engine.send(a_set("poison"))
        assert "exit status 9" in desk.next("down")
        sent[0] = a_set("second")
        desk.next("up")
        assert desk.next("event").text == "second@1"
        assert engine.restarts == 2


def test_a_killed_engine_is_noticed_at_once() -> None:
    before, desk = children(), Desk()
    with client("serves", desk=desk) as engine:
        desk.next("up")
        (pid,) = children() - before
        psutil.Process(pid).kill()
        desk.next("down")
        desk.next("up")
        assert engine.is_up


@pytest.mark.parametrize("behaviour", ["garbage", "oversized", "talks-commands"])
def test_nonsense_ends_the_engine(behaviour: str) -> None:
    desk = Desk()
    with client(behaviour, desk=desk):
        desk.next("up")
        assert "no message" in desk.next("down")


def test_an_engine_without_a_sign_of_life_is_replaced() -> None:
    desk = Desk()
    with client("mute", desk=desk, limits=EngineTimeouts(ping=0.05, silence=0.5)):
        desk.next("up")
        assert "does not answer" in desk.next("down")


def test_an_engine_may_be_silent_while_it_imports_its_libraries() -> None:
    desk = Desk(lambda: engine.send(a_set("early")))
    with client("imports-for", "0.6", desk=desk, limits=EngineTimeouts(ping=0.05, silence=0.3)) as engine:
        desk.next("up")
        assert desk.next("event").text == "early@1"
    assert engine.restarts == 0


def test_an_engine_that_takes_nothing_is_replaced_and_send_never_waits() -> None:
    desk = Desk()
    with client("deaf", desk=desk, limits=EngineTimeouts(ping=0.05, silence=1.0)) as engine:
        desk.next("up")
        for number in range(20_000):
            engine.send(Budget(f"a sequence with quite a long name {number}", 1, 1))
        assert "takes no commands" in desk.next("down")


def test_a_poison_model_is_not_tried_without_end() -> None:
    desk = Desk(lambda: engine.send(a_set("poison")))
    with client("serves", desk=desk) as engine:
        for _ in range(QUICK.crashes - 1):
            desk.next("up")
            assert desk.next("down").endswith("It is being started again.")
        desk.next("up")
        assert desk.next("down").endswith("the next start is in 0.7 seconds.")
        assert not engine.is_up
        assert engine.restarts == QUICK.crashes - 1


def test_an_engine_that_cannot_be_started_is_a_sentence() -> None:
    desk = Desk()
    engine = EngineSupervisor((str(SCRIPT.with_name("missing")),), {}, desk.event, desk.up, desk.down, QUICK)
    engine.start()
    try:
        assert desk.next("down").startswith("The writing engine could not be started: ")
    finally:
        engine.stop()


def test_a_failing_callback_does_not_cost_the_engine(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()

    def fail() -> None:
        raise RuntimeError("a fault in the desk")

    desk._on_up = fail
    with client("serves", desk=desk) as engine:
        while not engine.is_up:
            threading.Event().wait(0.02)
        engine.send(a_set("on"))
        assert desk.next("event").text == "on@1"
    assert "a fault in the desk" in caplog.text


@pytest.mark.parametrize(
    ("crashes", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 60.0), (6, 60.0), (100, 60.0)]
)
def test_the_next_start_comes_later_each_time(crashes: int, seconds: float) -> None:
    assert RestartPolicy().delay_after(crashes) == seconds


@pytest.mark.slow
def test_all_of_it_under_eventlet() -> None:
    """The same tests once more, in a process whose standard library is patched as the server patches it."""
    if os.environ.get("STORYGEN_TEST_GREEN"):
        pytest.skip("this is the patched process")
    program = (
        "import os, warnings; os.environ['EVENTLET_NO_GREENDNS'] = 'yes'\n"
        "warnings.filterwarnings('ignore', message=r'\\s*Eventlet is deprecated')\n"
        "import eventlet; eventlet.monkey_patch(os=False, subprocess=False)\n"
        "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, "-q", "-p", "no:cacheprovider", __file__],
        cwd=CHECKOUT,
        env={**os.environ, "STORYGEN_TEST_GREEN": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
