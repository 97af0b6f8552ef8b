"""Compiling: the folder of the disk cache, and the properties of compiled code that the engine relies on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

from generator.engine.int8 import compiling
from generator.engine.int8.compiling import compiled

CONFIG: Any = numba.config


@pytest.fixture(autouse=True)
def restored_config(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CONFIG, "CACHE_DIR", "untouched")


def test_compiled_code_is_kept_in_the_first_writable_folder_by_source_mark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    folders = (tmp_path / "file" / "impossible", tmp_path / "first", tmp_path / "second")
    monkeypatch.setattr(compiling, "_CACHE_FOLDERS", folders)
    monkeypatch.setattr(compiling, "source_mark", lambda: "mark")
    assert compiling._enable_disk_cache()
    assert Path(CONFIG.CACHE_DIR) == tmp_path / "first" / "mark"
    assert (tmp_path / "first" / "mark").is_dir()
    assert not (tmp_path / "second").exists()


def test_without_a_writable_folder_there_is_no_disk_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(compiling, "_CACHE_FOLDERS", (tmp_path / "file" / "impossible",))
    assert not compiling._enable_disk_cache()
    assert CONFIG.CACHE_DIR == "untouched"


@compiled
def _add_up(numbers):  # type: ignore[no-untyped-def]
    total = np.float32(0)
    for number in numbers:
        total += number
    return total


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_compiled_sums_keep_numbers_that_are_not_finite(wrong: float) -> None:
    assert not np.isfinite(_add_up(np.array([1, wrong, 2, 3] * 9, np.float32)))
