"""The security page: the tests that `SECURITY.md` names exist, and it names every test of an attack."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
ATTACKS = [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "tests/web/attacks").glob("test_*.py"))]
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ")][1:]


def proofs_of(row: str) -> list[tuple[str, str]]:
    """Return file and test of each proof of a row. `::test` alone belongs to the file named before it."""
    found: list[tuple[str, str]] = []
    for file, test in re.findall(r"`([\w/.]*)::(\w+)`", row.rpartition("| ")[2]):
        found.append((file or found[-1][0], test))
    return found


def defined_in(file: str) -> set[str]:
    """Return the names of the tests that a file defines."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


@pytest.mark.parametrize("row", ROWS, ids=[row.split("|")[1].strip()[:50] for row in ROWS])
def test_every_defence_names_existing_tests(row: str) -> None:
    assert proofs_of(row)
    for file, test in proofs_of(row):
        assert test in defined_in(file), f"{file} has no {test}"


@pytest.mark.parametrize("file", ATTACKS)
def test_the_page_names_every_test_of_an_attack(file: str) -> None:
    listed = {proof for row in ROWS for proof in proofs_of(row)}
    assert {(file, test) for test in defined_in(file)} <= listed
