"""README of the 8-bit forward: its worked example is right, and its tables are complete."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import generator.engine.int8 as package
from generator.engine.int8.forward import num_phases

FOLDER = Path(package.__path__[0])
README = FOLDER / "README.md"
TESTS = Path(__file__).parent
TEXT = README.read_text(encoding="utf-8")


def test_the_worked_example_is_right() -> None:
    results = doctest.testfile(str(README), module_relative=False, encoding="utf-8")
    assert results.attempted >= 40
    assert results.failed == 0


def test_the_table_of_files_lists_every_module() -> None:
    listed = re.findall(r"^\| `(\w+\.py)` \|", TEXT, re.MULTILINE)
    assert sorted(listed) == sorted(path.name for path in FOLDER.glob("*.py") if path.stat().st_size)


def test_the_table_of_phases_has_every_phase_of_a_layer() -> None:
    listed = re.findall(r"^\| (\d+) \|", TEXT, re.MULTILINE)
    assert [int(number) for number in listed] == list(range(num_phases(2) - num_phases(1)))


def test_the_named_tests_exist_and_lines_are_short() -> None:
    named = set(re.findall(r"\btest_\w+\.py", TEXT))
    assert named
    assert all((TESTS / name).is_file() for name in named)
    assert max(map(len, TEXT.splitlines())) <= 120
