"""The record: the latest figures of each part, with the date and the machine of the measurement.

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

FOLDER = Path(__file__).parents[2] / "docs" / "performance"
FIGURES = FOLDER / "figures.json"
# The models, as the record names them.
SMOLLM2, GPT2 = "SmolLM2-135M", "GPT-2 124M"
PARTS = ("forward", "perplexity", "reaction", "gaps", "endless", "fairness", "memory", "whole_program", "loops")

Record = dict[str, dict[str, Any]]


def machine() -> dict[str, str]:
    """Today's date and a description of this machine."""
    memory = round(psutil.virtual_memory().total / 2**30)
    return {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores of {_processor()}, {memory} GiB, {platform.system()}",
    }


def _processor() -> str:
    """The processor's name, or its architecture where the system does not tell the name."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def parse(lines: Sequence[str]) -> Any:
    """Parse the last line that is JSON. Libraries may print other lines after it."""
    return json.loads(next(line for line in reversed(lines) if line.startswith(("{", "["))))


def read() -> Record:
    """Return the stored record, or an empty one."""
    return json.loads(FIGURES.read_text()) if FIGURES.exists() else {}


def write(record: Record) -> None:
    """Store the record, one line for each part."""
    FOLDER.mkdir(exist_ok=True)
    lines = (f"{json.dumps(part)}: {json.dumps(entry)}" for part, entry in record.items())
    FIGURES.write_text("{\n" + ",\n".join(lines) + "\n}\n")
