"""Process: real child processes that greet, lie, hang and exit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from generator.engine_host.process import EngineNotStarted, EngineProcess
from generator.wire.frames import ConnectionClosed, read_frame, write_frame
from generator.wire.messages import Imported, ModelSpec, Ready, Set, decode, encode
from generator.wire.sampling_params import SamplingParams
from tests.generator.engine_host.engine_children import children, engine_command, longest_standstill

WAIT = 20.0


@contextmanager
def engine(*behaviour: str) -> Iterator[EngineProcess]:
    started = EngineProcess.start(engine_command(*behaviour), {"threads": 1}, WAIT, lambda: False)
    try:
        started.connection.settimeout(WAIT)
        yield started
    finally:
        started.end()


def read_to_the_end(process: EngineProcess) -> None:
    with suppress(ConnectionClosed):
        while True:
            read_frame(process.connection)


def test_a_started_engine_has_a_connection_and_end_leaves_no_process() -> None:
    before = children()
    with engine("serves") as started:
        assert decode(read_frame(started.connection)) == Ready(1)
        assert decode(read_frame(started.connection)) == Imported("cpu")
        assert len(children() - before) == 1
    assert children() == before


def test_impostors_are_turned_away_until_the_right_token_comes() -> None:
    with engine("impostors-first") as started:
        assert decode(read_frame(started.connection)) == Ready(1)


def test_an_engine_without_a_greeting_is_ended_after_the_timeout() -> None:
    before = children()
    reason = r"^The writing engine did not start in time\.$"
    with longest_standstill() as gaps, pytest.raises(EngineNotStarted, match=reason):
        EngineProcess.start(engine_command("never-greets"), {}, 0.3, lambda: False)
    assert children() == before
    assert max(gaps) < 0.5


def test_a_cancelled_start_ends_the_process() -> None:
    before = children()
    with pytest.raises(EngineNotStarted, match=r"^The writing engine was told to stop\.$"):
        EngineProcess.start(engine_command("never-greets"), {}, WAIT, lambda: children() != before)
    assert children() == before


def test_the_exit_status_of_an_engine_that_does_not_start_is_in_the_reason() -> None:
    with pytest.raises(EngineNotStarted, match=r"^The writing engine could not start \(exit status 7\)\.$"):
        EngineProcess.start(engine_command("dies-at-once"), {}, WAIT, lambda: False)


def test_a_missing_program_is_a_reason() -> None:
    with pytest.raises(EngineNotStarted, match=r"^The writing engine could not be started: .+\.$"):
        EngineProcess.start((str(Path(__file__).with_name("missing")),), {}, WAIT, lambda: False)


def test_the_exit_status_describes_the_end() -> None:
    poison = Set("poison", 1, "o", ModelSpec("fake", "x"), None, (), (), SamplingParams(seed=1), 1, 0, 0, 5)
    with engine("serves") as started:
        write_frame(started.connection, encode(poison))
        read_to_the_end(started)
        assert started.describe_end() == "exit status 9"


def test_the_signal_describes_the_end() -> None:
    before = children()
    with engine("serves") as started:
        (pid,) = children() - before
        psutil.Process(pid).kill()
        read_to_the_end(started)
        assert started.describe_end() == "killed by SIGKILL"


def test_an_engine_that_still_runs_has_closed_its_connection() -> None:
    before = children()
    with engine("stubborn") as started:
        assert started.describe_end() == "it closed its connection"
    assert children() == before
