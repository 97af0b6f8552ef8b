"""Precision memory: what was chosen for a model on this machine, so that it need not be measured at every start.

Owns the file and what makes an entry stale. Knows nothing of how the choice is made.
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
    """`file` may be missing or damaged: then nothing is remembered. `folder` holds the model's weights, which
    compute on `device`."""

    def __init__(self, file: Path, folder: Path, device: torch.device) -> None:
        self._file = file
        self._key = _fingerprint(folder, device)

    def recall(self) -> PrecisionChoice | None:
        try:
            entry = self._read()[self._key]
            return PrecisionChoice(entry["name"], PrecisionError(**entry["error"]))
        except (KeyError, TypeError):
            return None

    def remember(self, choice: PrecisionChoice) -> None:
        entries = self._read() | {self._key: asdict(choice)}
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            unfinished = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            unfinished.write_text(json.dumps(entries, indent=1), encoding="utf-8")
            unfinished.replace(self._file)
        except OSError as error:
            log(f"the chosen precision cannot be kept, it will be measured again: {error}")

    def _read(self) -> dict[str, Any]:
        try:
            entries = json.loads(self._file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return entries if isinstance(entries, dict) else {}


def _fingerprint(folder: Path, device: torch.device) -> str:
    """Changes with the weights, the machine, torch, its threads, and how we compute."""
    weights = [path for path in sorted(folder.iterdir()) if path.suffix in (".safetensors", ".bin")]
    files = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in weights]
    machine = (platform.machine(), platform.processor(), torch.backends.cpu.get_cpu_capability(), os.cpu_count())
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    everything = repr((files, machine, gpu, torch.__version__, torch.get_num_threads(), source_mark()))
    return hashlib.blake2b(everything.encode(), digest_size=16).hexdigest()
