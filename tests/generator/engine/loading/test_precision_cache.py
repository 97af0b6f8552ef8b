"""Precision cache: a choice is found again until something changes that it depends on."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from generator.engine.loading import precision_cache
from generator.engine.loading.precision import PrecisionChoice, PrecisionError
from generator.engine.loading.precision_cache import PrecisionCache

CHOICE = PrecisionChoice("int8-a16", PrecisionError(0.004, 0.98))
CPU = torch.device("cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    return folder


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "missing folder" / "precision.json"


def test_a_choice_is_found_again(file: Path, folder: Path) -> None:
    assert PrecisionCache(file, folder, CPU).get() is None
    PrecisionCache(file, folder, CPU).put(CHOICE)
    assert PrecisionCache(file, folder, CPU).get() == CHOICE
    PrecisionCache(file, folder, CPU).put(PrecisionChoice("fp32"))
    assert PrecisionCache(file, folder, CPU).get() == PrecisionChoice("fp32")
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_each_model_has_an_entry_of_its_own(file: Path, folder: Path) -> None:
    other = folder.parent / "other"
    other.mkdir()
    (other / "pytorch_model.bin").write_bytes(b"other weights")
    PrecisionCache(file, folder, CPU).put(CHOICE)
    assert PrecisionCache(file, other, CPU).get() is None
    PrecisionCache(file, other, CPU).put(PrecisionChoice("fp32"))
    assert PrecisionCache(file, folder, CPU).get() == CHOICE


def test_a_choice_is_stale_once_the_weights_change(file: Path, folder: Path) -> None:
    PrecisionCache(file, folder, CPU).put(CHOICE)
    (folder / "config.json").write_text("{}")
    assert PrecisionCache(file, folder, CPU).get() == CHOICE
    status = (folder / "model.safetensors").stat()
    os.utime(folder / "model.safetensors", ns=(status.st_atime_ns, status.st_mtime_ns + 1000))
    assert PrecisionCache(file, folder, CPU).get() is None


def test_a_choice_is_stale_once_the_machine_or_the_code_changes(
    file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    PrecisionCache(file, folder, CPU).put(CHOICE)
    for module, name in ((torch, "get_num_threads"), (os, "cpu_count"), (precision_cache, "source_mark")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, lambda: "changed")
            assert PrecisionCache(file, folder, CPU).get() is None, name
    assert PrecisionCache(file, folder, CPU).get() == CHOICE


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"KEY": 1}', '{"KEY": {"name": "fp32"}}', '{"KEY": []}'])
def test_a_damaged_file_is_an_empty_cache_and_is_replaced(file: Path, folder: Path, content: str) -> None:
    cache = PrecisionCache(file, folder, CPU)
    cache.put(CHOICE)
    (key,) = json.loads(file.read_text())
    file.write_text(content.replace("KEY", key))
    assert cache.get() is None
    cache.put(CHOICE)
    assert cache.get() == CHOICE


def test_a_cache_that_cannot_be_written_is_logged(
    tmp_path: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    cache = PrecisionCache(tmp_path / "file" / "precision.json", folder, CPU)
    cache.put(CHOICE)
    assert "cannot be stored" in caplog.text
    assert cache.get() is None
