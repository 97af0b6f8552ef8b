"""`docs/limits.md` gives the figures that the code has."""

from __future__ import annotations

import dataclasses
import importlib
import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "docs" / "limits.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\|[^|]*\|[^|]*\| ([\d,]+) \|[^|]*\| `([\w.]+)` \|$", PAGE, re.MULTILINE)


def value_of(name: str) -> object:
    """A module's constant, or the default of a dataclass's field."""
    module, _, attribute = name.rpartition(".")
    if not module.rpartition(".")[2][0].isupper():
        return getattr(importlib.import_module(module), attribute)
    module, _, owner = module.rpartition(".")
    shape = getattr(importlib.import_module(module), owner)
    return next(field.default for field in dataclasses.fields(shape) if field.name == attribute)


def test_every_row_is_read() -> None:
    assert len(ROWS) == PAGE.count("\n| ") - 1  # its head


@pytest.mark.parametrize(("figure", "name"), ROWS, ids=[name for _, name in ROWS])
def test_a_limit_is_what_the_page_says(figure: str, name: str) -> None:
    assert value_of(name) == int(figure.replace(",", ""))


@pytest.mark.parametrize("shape", ["web.addresses.AddressLimits", "web.socket_guard.SocketLimits"])
def test_no_limit_is_left_out(shape: str) -> None:
    module, _, owner = shape.rpartition(".")
    fields = dataclasses.fields(getattr(importlib.import_module(module), owner))
    assert {f"{shape}.{field.name}" for field in fields} <= {name for _, name in ROWS}
