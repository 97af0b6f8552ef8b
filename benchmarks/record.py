"""The record of what was measured: one entry for each part, with the day and the machine it was measured on.

Owns docs/performance/figures.json. Knows nothing of what the figures mean.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import psutil

FOLDER = Path(__file__).parents[1] / "docs" / "performance"
FIGURES = FOLDER / "figures.json"
# The models, as the record names them.
SMOLLM2, GPT2 = "SmolLM2-135M", "GPT-2 124M"
PARTS = ("forward", "perplexity", "reaction", "gaps", "endless", "fairness", "memory", "whole_program", "loops")

Record = dict[str, dict[str, Any]]


def machine() -> dict[str, str]:
    memory = round(psutil.virtual_memory().total / 2**30)
    return {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores of {_processor()}, {memory} GiB, {platform.system()}",
    }


def _processor() -> str:
    """Its name, where the system says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def parse(lines: Sequence[str]) -> Any:
    """The last line that is JSON: libraries may say something after it."""
    return json.loads(next(line for line in reversed(lines) if line.startswith(("{", "["))))


def read() -> Record:
    return json.loads(FIGURES.read_text()) if FIGURES.exists() else {}


def write(record: Record) -> None:
    FOLDER.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(record, indent=1) + "\n")
