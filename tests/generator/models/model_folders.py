"""Model folders: small folders that look like models, complete or damaged, made without torch."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

CONFIG = {"model_type": "gpt2", "n_layer": 1}


def safetensors() -> bytes:
    """Return a complete safetensors file with one tensor."""
    header = json.dumps({"w": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(8)


def make_model(folder: Path, config: Any = CONFIG, **files: bytes | None) -> Path:
    """Make a folder that the engine could load, and return it.

    `files` replaces files by name (dots written as `__`); None leaves a file out.
    """
    contents: dict[str, bytes | None] = {
        "config.json": json.dumps(config).encode(),
        "model.safetensors": safetensors(),
        "tokenizer.json": b"{}",
    }
    contents |= {name.replace("__", "."): content for name, content in files.items()}
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        if content is not None:
            (folder / name).write_bytes(content)
    return folder
