"""For all tests: a quiet, closed environment, and the proof that no process outlives its test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator

import psutil
import pytest
from hypothesis import HealthCheck, settings

GONE_SECONDS = 10.0
MARK = "STORYGEN_TEST_RUN"

# A shared machine is slow at times, which says nothing about the code.
settings.register_profile("storygen", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("storygen")


def pytest_configure() -> None:
    """One thread for the math, no model hub, none of the user's own settings, and a mark that all children inherit."""
    for name in [name for name in os.environ if name.startswith("STORYGEN_") and not name.startswith("STORYGEN_TEST")]:
        del os.environ[name]
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")
    os.environ[MARK] = secrets.token_hex(16)


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    before = _children()
    yield
    _none_remain(_children() - before)


@pytest.fixture(autouse=True, scope="session")
def no_process_outlives_the_run() -> Iterator[None]:
    """Also counts processes whose parent is gone, such as the engine of a killed server."""
    yield
    _none_remain({process for process in psutil.process_iter() if _is_ours(process)})


def _children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


def _is_ours(process: psutil.Process) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(MARK) == os.environ[MARK]
    except (psutil.Error, OSError):
        return False  # gone meanwhile, or another user's


def _none_remain(processes: set[psutil.Process]) -> None:
    """Some may be ending just now."""
    _gone, alive = psutil.wait_procs(list(processes), GONE_SECONDS)
    remaining = [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    described = [" ".join(process.cmdline()) for process in remaining]
    for process in remaining:
        process.kill()
    assert not described, "left running: " + "; ".join(described)
