"""Model folder: the checks of a model's name and files on this machine, before the engine may load them.

Owns the rules for paths and files of models, each with its reason. Reads only configurations and the headers
of weight files, and never runs code of a model. Knows nothing of the menu or of the hub.
"""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

# The model types of transformers that call attention through its attention interface, which the engine replaces.
SUPPORTED_TYPES = (
    "gpt2",
    *("llama", "mistral", "qwen2", "qwen3", "smollm3", "granite", "olmo", "olmo2"),
    *("gpt_neox", "phi", "phi3", "stablelm", "starcoder2"),
)
MAX_CONFIG_BYTES = 4 * 1024 * 1024

_MAX_HEADER_BYTES = 100_000_000

_FORBIDDEN_CHARACTERS = re.compile(r'[<>:"|?*\\\x00-\x1f\x7f]')
_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\..*)?", re.IGNORECASE)
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("tokenizer.model",))
_CONFIGS = ("config.json", "tokenizer_config.json", "generation_config.json")


class Unusable(Exception):
    """The model cannot be offered. The message is the reason, as a sentence for the menu."""


def locate(root: Path, name: str) -> Path | None:
    """Return the folder `name` under `root`, or None if it does not exist.

    Raises Unusable for a name that leads out of `root` or to a device, on this system or on another one.
    """
    parts = name.split("/")
    if not all(_is_plain(part) for part in parts):
        raise Unusable("The name must be the path of a folder beside server.py, with / between its parts.")
    folder = root.joinpath(*parts)
    if not folder.is_dir():
        return None
    _check_inside(folder, root)
    return folder


def check(folder: Path, within: Path) -> None:
    """Raise Unusable unless `folder` holds a model that the engine can load, with all its files inside `within`."""
    for name in _CONFIGS:
        if (path := folder / name).exists():
            _check_inside(path, within)
            check_config(_read_json(path))
    if not (folder / "config.json").is_file():
        raise Unusable("Its folder has no config.json.")
    check_type(_read_json(folder / "config.json"))
    weights = next((folder / name for name in _WEIGHTS if (folder / name).is_file()), None)
    if weights is None:
        raise Unusable("Its folder has no weights (model.safetensors or pytorch_model.bin).")
    for part in _weight_files(weights):
        _check_inside(part, within)
        _check_weights(part)
    if not any(all((folder / name).is_file() for name in names) for names in _TOKENIZERS):
        raise Unusable("Its folder has no tokenizer (tokenizer.json, or vocab.json and merges.txt).")


def check_config(config: Mapping[str, Any]) -> None:
    """Raise Unusable if a configuration, or a part of it, names code that comes with the model."""
    for key, value in config.items():
        names_code = key in ("auto_map", "custom_generate") or (
            # Some versions of transformers wrote `_attn_implementation_autoset: true`, which names no code.
            key.startswith("_attn_implementation") and not isinstance(value, bool)
        )
        if names_code:
            raise Unusable(f"Its configuration asks for code of its own ({key}), which StoryGen never runs.")
        if isinstance(value, dict):
            check_config(value)


def check_type(config: Mapping[str, Any]) -> None:
    """Raise Unusable if the contents of `config.json` describe a model that the engine cannot run."""
    model_type = config.get("model_type")
    if model_type not in SUPPORTED_TYPES:
        raise Unusable(f"Models of type {str(model_type)[:40]!r} are not supported.")


def _is_plain(part: str) -> bool:
    """Whether this part of a path means the same folder or file on every system."""
    return (
        0 < len(part) <= 255
        and part not in (".", "..")
        and part[-1] not in ". "
        and not _FORBIDDEN_CHARACTERS.search(part)
        and not _WINDOWS_DEVICE.fullmatch(part)
    )


def _is_file_name(name: object) -> bool:
    return isinstance(name, str) and "/" not in name and _is_plain(name)


def _check_inside(path: Path, root: Path) -> None:
    """Raise Unusable unless `path`, with all links followed, is inside `root`."""
    try:
        inside = path.resolve(strict=True).is_relative_to(root.resolve(strict=True))
    except (OSError, RuntimeError) as error:
        raise Unusable(f"{path.name} cannot be read ({_cause(error)}).") from error
    if not inside or path.resolve() == root.resolve():
        raise Unusable(f"{path.name} leads out of the folder of server.py. Only models inside it are loaded.")


def _read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file of at most `MAX_CONFIG_BYTES`. Raises Unusable."""
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise Unusable(f"Its {path.name} is too large.")
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise Unusable(f"Its {path.name} cannot be read ({_cause(error)}).") from error
    if not isinstance(value, dict):
        raise Unusable(f"Its {path.name} is not a configuration.")
    return value


def _weight_files(weights: Path) -> Iterator[Path]:
    """Yield the file itself, or the parts that an index names. Raises Unusable."""
    if weights.suffix != ".json":
        yield weights
        return
    parts = _read_json(weights).get("weight_map")
    if not isinstance(parts, dict) or not all(_is_file_name(name) for name in parts.values()):
        raise Unusable(f"Its {weights.name} is not an index of weights.")
    yield from (weights.parent / name for name in sorted(set(parts.values())))


def _check_weights(path: Path) -> None:
    """Raise Unusable for a Git LFS pointer and for an incomplete download, so that the menu names the cause."""
    try:
        size = path.stat().st_size
        with open(path, "rb") as file:
            start = file.read(64)
            if start.startswith(b"version https://git-lfs"):
                raise Unusable(f"{path.name} is a Git LFS pointer, not the weights. Run git lfs pull.")
            if path.suffix == ".safetensors" and not _is_complete(start, file, size):
                raise Unusable(f"{path.name} is damaged or incomplete. Copy it again.")
    except OSError as error:
        raise Unusable(f"{path.name} cannot be read ({_cause(error)}).") from error


def _is_complete(start: bytes, file: BinaryIO, size: int) -> bool:
    """Whether a safetensors file is as long as its header says: eight bytes of length, then JSON with each tensor's
    position."""
    if len(start) < 8:
        return False
    (length,) = struct.unpack("<Q", start[:8])
    if length > min(size - 8, _MAX_HEADER_BYTES):
        return False
    file.seek(8)
    try:
        tensors = json.loads(file.read(length))
        ends = [tensor["data_offsets"][1] for name, tensor in tensors.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError):
        return False
    return all(isinstance(end, int) for end in ends) and size == 8 + int(length) + max(ends, default=0)


def _cause(error: Exception) -> str:
    return os.strerror(error.errno) if isinstance(error, OSError) and error.errno else "it is damaged"
