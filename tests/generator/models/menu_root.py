"""A root folder with a menu file in it, as tests of the menu set it up."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from generator.models.hub_check import HubCheck
from generator.models.menu import Menu

OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": "/nowhere"}


class MenuDesk:
    def __init__(self, root: Path, hub: HubCheck | None = None, fakes: tuple[str, ...] = ()) -> None:
        self.root, self.config = root, root / "config.js"
        self.menu = Menu(root, self.config, hub or HubCheck(OFFLINE), fakes)

    def write(self, source: str) -> None:
        """As an editor saves it; the time of change is set, because two saves may come within one tick of a clock."""
        before = self.config.stat().st_mtime_ns if self.config.exists() else 0
        self.config.write_text(source, encoding="utf-8")
        os.utime(self.config, ns=(before + 10**9, before + 10**9))

    def offer(self, **models: Any) -> None:
        self.write(f"var ModelConfig = {json.dumps({'continuationModels': models, 'promptModels': models})};")

    def reason(self, name: str) -> str:
        entry = self.menu.find("continue", name)
        assert entry is not None
        assert entry.available == (not entry.reason)
        return entry.reason
