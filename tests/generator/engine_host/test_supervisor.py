"""Supervisor: real child processes that crash, hang and send malformed data are replaced."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
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
from tests.generator.engine_host.engine_children import children, engine_command, longest_standstill

FOLDER = Path(__file__).parent
QUICK = RestartPolicy(greeting=20, first_delay=0.02, crashes=4, window=600, rest=0.7)
WAIT = 20.0


def a_set(sequence: str, epoch: int = 1) -> Set:
    spec, sampling = ModelSpec("fake", "instant"), SamplingParams(seed=1)
    return Set(sequence, epoch, "owner", spec, None, (), (), sampling, 1, 0, 0, 5)


class Calls:
    """Records the callbacks of a supervisor, and lets a test wait for the next one."""

    def __init__(self, on_up: Callable[[], None] = lambda: None) -> None:
        self.received: queue.Queue[tuple[str, Any]] = queue.Queue()
        self._on_up = on_up

    def event(self, event: EngineEvent) -> None:
        self.received.put(("event", event))

    def up(self) -> None:
        self._on_up()
        self.received.put(("up", None))

    def down(self, reason: str) -> None:
        self.received.put(("down", reason))

    def next(self, kind: str) -> Any:
        found, value = self.received.get(timeout=WAIT)
        assert found == kind, value
        return value


@contextmanager
def supervisor(
    *behaviour: str, calls: Calls, timeouts: EngineTimeouts | None = None, restart_policy: RestartPolicy = QUICK
) -> Iterator[EngineSupervisor]:
    command, timeouts = engine_command(*behaviour), timeouts or EngineTimeouts(ping=0.05)
    running = EngineSupervisor(command, {"threads": 1}, calls.event, calls.up, calls.down, restart_policy, timeouts)
    running.start()
    try:
        yield running
    finally:
        running.stop()
    assert not running.is_up


def test_commands_reach_the_engine_and_events_come_back_in_order() -> None:
    calls = Calls()
    with supervisor("serves", calls=calls) as engine:
        calls.next("up")
        assert engine.is_up
        for epoch in range(50):
            engine.send(a_set(f"s{epoch}", epoch))
        chunks: list[Chunk] = [calls.next("event") for _ in range(50)]
    assert [chunk.text for chunk in chunks] == [f"s{epoch}@{epoch}" for epoch in range(50)]
    assert engine.restarts == 0


def test_stop_leaves_no_process_and_makes_no_callback() -> None:
    before, calls = children(), Calls()
    with supervisor("serves", calls=calls):
        calls.next("up")
        assert children() > before
    assert children() == before
    assert calls.received.empty()


def test_ending_an_engine_that_ignores_its_closed_connection_blocks_no_other_thread() -> None:
    before, calls = children(), Calls()
    with longest_standstill() as gaps:
        with supervisor("stubborn", calls=calls):
            while children() == before:
                threading.Event().wait(0.02)
        assert children() == before
    assert max(gaps) < 0.5


def test_stop_does_not_wait_for_an_engine_that_never_greets() -> None:
    calls = Calls()
    with supervisor("never-greets", calls=calls):
        pass
    assert calls.received.empty()


def test_a_crashed_engine_is_replaced_and_gets_the_commands_sent_on_up(tmp_path: Path) -> None:
    sent: list[EngineCommand] = [a_set("first")]
    calls = Calls(lambda: engine.send(sent[0]))
    with supervisor("crashes-until-file", str(tmp_path / "crashed"), calls=calls) as engine:
        assert "exit status 7" in calls.next("down")
        calls.next("up")
        assert calls.next("event").text == "first@1"
        engine.send(a_set("poison"))
        assert "exit status 9" in calls.next("down")
        sent[0] = a_set("second")
        calls.next("up")
        assert calls.next("event").text == "second@1"
        assert engine.restarts == 2


def test_a_killed_engine_is_replaced() -> None:
    before, calls = children(), Calls()
    with supervisor("serves", calls=calls) as engine:
        calls.next("up")
        (pid,) = children() - before
        psutil.Process(pid).kill()
        calls.next("down")
        calls.next("up")
        assert engine.is_up


@pytest.mark.parametrize("behaviour", ["garbage", "oversized", "talks-commands"])
def test_malformed_data_ends_the_engine(behaviour: str) -> None:
    calls = Calls()
    with supervisor(behaviour, calls=calls):
        calls.next("up")
        assert "malformed message" in calls.next("down")


def test_an_engine_without_a_sign_of_life_is_replaced() -> None:
    calls = Calls()
    with supervisor("mute", calls=calls, timeouts=EngineTimeouts(ping=0.05, silence=0.5)):
        calls.next("up")
        assert "does not answer" in calls.next("down")


def test_an_engine_may_be_silent_while_it_imports_its_libraries() -> None:
    calls = Calls(lambda: engine.send(a_set("early")))
    with supervisor("imports-for", "0.6", calls=calls, timeouts=EngineTimeouts(ping=0.05, silence=0.3)) as engine:
        calls.next("up")
        assert calls.next("event").text == "early@1"
    assert engine.restarts == 0


def test_an_engine_that_reads_no_commands_is_replaced_and_send_never_waits() -> None:
    calls = Calls()
    with supervisor("deaf", calls=calls, timeouts=EngineTimeouts(ping=0.05, silence=1.0)) as engine:
        calls.next("up")
        for number in range(20_000):
            engine.send(Budget(f"a sequence with quite a long name {number}", 1, 1))
        assert "does not accept commands" in calls.next("down")


def test_a_model_that_kills_the_engine_is_not_tried_again_and_again() -> None:
    calls = Calls(lambda: engine.send(a_set("poison")))
    with supervisor("serves", calls=calls) as engine:
        for _ in range(QUICK.crashes - 1):
            calls.next("up")
            assert calls.next("down").endswith("The engine is being started again.")
        calls.next("up")
        assert calls.next("down").endswith("The next start is in 0.7 seconds.")
        assert not engine.is_up
        assert engine.restarts == QUICK.crashes - 1


def test_the_reason_why_an_engine_cannot_be_started_is_a_sentence() -> None:
    calls = Calls()
    engine = EngineSupervisor((str(FOLDER / "missing"),), {}, calls.event, calls.up, calls.down, QUICK)
    engine.start()
    try:
        assert calls.next("down").startswith("The writing engine could not be started: ")
    finally:
        engine.stop()


def test_a_failing_callback_does_not_end_the_engine(caplog: pytest.LogCaptureFixture) -> None:
    calls = Calls()

    def fail() -> None:
        raise RuntimeError("a fault in a callback")

    calls._on_up = fail
    with supervisor("serves", calls=calls) as engine:
        while not engine.is_up:
            threading.Event().wait(0.02)
        engine.send(a_set("on"))
        assert calls.next("event").text == "on@1"
    assert "a fault in a callback" in caplog.text


@pytest.mark.parametrize(
    ("crashes", "seconds"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (5, 60.0), (6, 60.0), (100, 60.0)]
)
def test_each_restart_comes_later_than_the_one_before(crashes: int, seconds: float) -> None:
    assert RestartPolicy().delay_after(crashes) == seconds


@pytest.mark.slow
def test_the_folder_passes_its_tests_under_eventlet() -> None:
    """Run the tests of this folder again, in a process with a standard library patched as the server patches it."""
    if os.environ.get("STORYGEN_TEST_GREEN"):
        pytest.skip("this is the patched process")
    program = (
        "import os, warnings; os.environ['EVENTLET_NO_GREENDNS'] = 'yes'\n"
        "warnings.filterwarnings('ignore', message=r'\\s*Eventlet is deprecated')\n"
        "import eventlet; eventlet.monkey_patch(os=False, subprocess=False)\n"
        "import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program, "-q", "-p", "no:cacheprovider", str(FOLDER)],
        cwd=FOLDER.parents[2],
        env={**os.environ, "STORYGEN_TEST_GREEN": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stdout + run.stderr
