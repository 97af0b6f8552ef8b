"""The page of limits: the numbers of `docs/limits.md` are those of the code."""

from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "limits.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\|[^|]*\|[^|]*\| ([\d,]+) \|[^|]*\| `([\w.]+)` \|$", PAGE, re.MULTILINE)


def value_of(name: str) -> object:
    """Return the constant of a module, or the default of a dataclass field."""
    module, _, attribute = name.rpartition(".")
    if not module.rpartition(".")[2][0].isupper():
        return getattr(importlib.import_module(module), attribute)
    module, _, owner = module.rpartition(".")
    shape = getattr(importlib.import_module(module), owner)
    return next(field.default for field in dataclasses.fields(shape) if field.name == attribute)


def test_every_row_has_a_number_and_a_constant() -> None:
    header_rows = 1
    assert len(ROWS) == PAGE.count("\n| ") - header_rows


@pytest.mark.parametrize(("number", "name"), ROWS, ids=[name for _, name in ROWS])
def test_the_page_gives_the_value_of_the_constant(number: str, name: str) -> None:
    assert value_of(name) == int(number.replace(",", ""))


@pytest.mark.parametrize("shape", ["web.addresses.AddressLimits", "web.socket_guard.SocketLimits"])
def test_the_page_lists_every_limit(shape: str) -> None:
    module, _, owner = shape.rpartition(".")
    fields = dataclasses.fields(getattr(importlib.import_module(module), owner))
    assert {f"{shape}.{field.name}" for field in fields} <= {name for _, name in ROWS}
