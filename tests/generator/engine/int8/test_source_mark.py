"""Source mark: it changes with every Python file of the package and with numba's version, and with nothing else."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from generator.engine.int8 import source_mark as module
from generator.engine.int8.source_mark import source_mark


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(module, "__file__", str(tmp_path / "source_mark.py"))
    (tmp_path / "a.py").write_text("a = 1\n")
    (tmp_path / "b.py").write_text("b = 1\n")
    return tmp_path


@pytest.mark.parametrize("name", ["a.py", "b.py", "c.py"])
def test_the_mark_changes_with_every_python_file(package: Path, name: str) -> None:
    before = source_mark()
    assert source_mark() == before
    (package / name).write_text("x = 2\n")
    assert source_mark() != before


def test_the_mark_ignores_other_files(package: Path) -> None:
    before = source_mark()
    (package / "README.md").write_text("words")
    (package / "deeper").mkdir()
    (package / "deeper" / "c.py").write_text("c = 1\n")
    assert source_mark() == before


def test_the_mark_changes_with_the_version_of_numba(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    marks = {source_mark()}
    for version in (lambda name: "0.1", lambda name: "0.2", missing):
        monkeypatch.setattr(module, "version", version)
        marks.add(source_mark())
    assert len(marks) == 4
