"""Fixtures for the tests of the menu."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from generator.models import menu
from tests.generator.models.fake_hub import FakeHub, serving
from tests.generator.models.menu_root import MenuRoot


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MenuRoot:
    """A menu that checks its folders at every call."""
    monkeypatch.setattr(menu, "_RESOLVED_VALID_SECONDS", -1.0)
    return MenuRoot(tmp_path)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    """A running fake hub."""
    with serving() as server:
        yield server
