"""A live draft with its room, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.generator.drafts.draft_room import DraftRoom


@pytest.fixture
def room(tmp_path: Path) -> Iterator[DraftRoom]:
    with ThreadPoolExecutor(4) as threads:
        room = DraftRoom(tmp_path, threads)
        yield room
        room.close()
