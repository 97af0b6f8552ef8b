"""Menu root: a root folder with a menu file and the menu over it, for the tests of the menu."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from generator.models.hub_check import HubCheck
from generator.models.menu import Menu

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": "/nowhere"}


class MenuRoot:
    """`folder` is the root folder, `config` its menu file. The hub is offline unless `hub` is given."""

    def __init__(self, folder: Path, hub: HubCheck | None = None, fakes: tuple[str, ...] = ()) -> None:
        self.folder, self.config = folder, folder / "config.js"
        self.menu = Menu(folder, self.config, hub or HubCheck(OFFLINE), fakes)

    def write(self, source: str) -> None:
        """Save the menu file. Its modification time moves forward by a second, also for saves within one clock tick."""
        before = self.config.stat().st_mtime_ns if self.config.exists() else 0
        self.config.write_text(source, encoding="utf-8")
        os.utime(self.config, ns=(before + 10**9, before + 10**9))

    def offer(self, **models: Any) -> None:
        """Save a menu file with these models in both modes."""
        self.write(f"var ModelConfig = {json.dumps({'continuationModels': models, 'promptModels': models})};")

    def reason(self, name: str) -> str:
        """Return why the entry is unavailable, or an empty text."""
        entry = self.menu.find("continue", name)
        assert entry is not None
        assert entry.available == (not entry.reason)
        return entry.reason
