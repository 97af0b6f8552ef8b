"""Fixtures of all tests: a closed environment, and a check that no process outlives its test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import HealthCheck, settings

END_SECONDS = 10.0
MARK = "STORYGEN_TEST_RUN"

# A busy machine is slow at times, which is not a failure of the code.
settings.register_profile("storygen", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("storygen")


def pytest_configure() -> None:
    """Set one thread for math, no model hub, none of the user's settings, and a mark that child processes inherit."""
    for name in [name for name in os.environ if name.startswith("STORYGEN_") and not name.startswith("STORYGEN_TEST")]:
        del os.environ[name]
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    os.environ[MARK] = secrets.token_hex(16)


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    before = _children()
    yield
    _assert_all_end(_children() - before)


@pytest.fixture(autouse=True, scope="session")
def no_process_outlives_the_run() -> Iterator[None]:
    """Also finds processes whose parent has ended, such as the engine of a killed server."""
    yield
    _assert_all_end({process for process in psutil.process_iter() if _is_ours(process)})


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _is_ours(process: psutil.Process) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(MARK) == os.environ[MARK]
    except (psutil.Error, OSError):
        return False  # it has ended, or belongs to another user


def _assert_all_end(processes: set[psutil.Process]) -> None:
    """Wait for the end of `processes`. Kill the others and fail."""
    _gone, alive = psutil.wait_procs(list(processes), END_SECONDS)
    remaining = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    described = [" ".join(process.cmdline()) for process in remaining]
    for process in remaining:
        process.kill()
    assert not described, "left running: " + "; ".join(described)
