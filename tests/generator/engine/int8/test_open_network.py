"""Opening: a network where model and machine allow it, otherwise None and, if anything failed, a line in the log."""

from __future__ import annotations

import sys

import pytest
import torch

from generator.engine.int8.network import Int8Network
from generator.engine.int8.open_network import open_int8
from tests.generator.engine.tiny_models import tiny_weights


def test_a_model_of_whole_groups_is_opened_with_the_threads_of_torch() -> None:
    network = open_int8(tiny_weights("int8 llama", 48))
    assert isinstance(network, Int8Network)
    assert network._pool.count == torch.get_num_threads()


def test_a_model_whose_sizes_do_not_fit_is_not_opened(caplog: pytest.LogCaptureFixture) -> None:
    assert open_int8(tiny_weights("llama", 48)) is None
    assert not caplog.text


def test_a_compiler_that_fails_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def fail(model: object, threads: int) -> None:
        raise RuntimeError("no such instruction")

    monkeypatch.setattr("generator.engine.int8.network.pack_model", fail)
    assert open_int8(tiny_weights("int8 llama", 48)) is None
    assert "fp32 is used: RuntimeError: no such instruction" in caplog.text


def test_a_missing_numba_is_logged(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    # None in `sys.modules` makes an import fail as if the module were missing.
    monkeypatch.setitem(sys.modules, "generator.engine.int8.network", None)
    assert open_int8(tiny_weights("int8 llama", 48)) is None
    assert "ModuleNotFoundError" in caplog.text
