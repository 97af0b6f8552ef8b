"""Warm-up: the first load of a model, run during the installation so that the first start of the program is quick.

A first load compiles the 8-bit network and measures the precision; both results are cached. Run it as
`python -m generator.engine.loading.warm_up ROOT FOLDER`. Owns the process. Knows nothing of any particular model.
"""

from __future__ import annotations

import sys
from pathlib import Path

from generator.engine.loading.load import load_model
from generator.engine.networks.runner import LoadFailed, LoadOptions
from generator.wire.messages import ModelSpec


def main(root: str, folder: str) -> int:
    """Load the model in `folder`, which is relative to `root`, and print its precision. Return the exit code."""
    try:
        model = load_model(ModelSpec("bundled", folder), LoadOptions(Path(root)), lambda _progress: None)
    except LoadFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"It computes in {model.precision}.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
