"""Fixtures for the tests of the menu."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.models import menu
from tests.generator.models.menu_root import MenuDesk


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MenuDesk:
    """A menu that looks at its folders every time it is asked."""
    monkeypatch.setattr(menu, "_FOLDER_SECONDS", -1.0)
    return MenuDesk(tmp_path)
