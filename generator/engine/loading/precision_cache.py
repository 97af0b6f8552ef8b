"""Precision cache: the precision chosen for each model on this machine, so that only the first start measures it.

Owns the file and the key, which changes when a choice becomes stale. Knows nothing of how the choice is made.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from generator.engine.int8.source_mark import source_mark
from generator.engine.loading.precision import PrecisionChoice, PrecisionError
from generator.engine.process.log import log


class PrecisionCache:
    """The entry of one model in the file.

    A missing or damaged `file` is an empty cache. `folder` holds the weights of the model, which computes on `device`.
    """

    def __init__(self, file: Path, folder: Path, device: torch.device) -> None:
        self._file = file
        self._key = _key(folder, device)

    def get(self) -> PrecisionChoice | None:
        """Return the model's choice, or None if there is no valid entry."""
        try:
            entry = self._read()[self._key]
            return PrecisionChoice(entry["name"], PrecisionError(**entry["error"]))
        except (KeyError, TypeError):
            return None

    def put(self, choice: PrecisionChoice) -> None:
        """Store the model's choice. Log a line if the file cannot be written."""
        entries = self._read() | {self._key: asdict(choice)}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            temporary.write_text(json.dumps(entries, indent=1), encoding="utf-8")
            temporary.replace(self._file)
        except OSError as error:
            log(f"The chosen precision cannot be stored and will be measured again at the next start: {error}")

    def _read(self) -> dict[str, Any]:
        try:
            entries = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}


def _key(folder: Path, device: torch.device) -> str:
    """Return a digest of the weights, the machine, torch, its number of threads, and the 8-bit network's source."""
    weights = [path for path in sorted(folder.iterdir()) if path.suffix in (".safetensors", ".bin")]
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in weights]
    machine = (platform.machine(), platform.processor(), torch.backends.cpu.get_cpu_capability(), os.cpu_count())
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    parts = repr((files, machine, gpu, torch.__version__, torch.get_num_threads(), source_mark()))
    return hashlib.blake2b(parts.encode(), digest_size=16).hexdigest()
