"""Rehearsal: the first load of a model, done while the program is installed and nobody waits for it.

What a first load compiles and measures is kept, so that the next one is quick. Run as
`python -m generator.engine.loading.warm_up ROOT FOLDER`. Knows nothing of which model it is.
"""

from __future__ import annotations

import sys
from pathlib import Path

from generator.engine.loading.load import load_model
from generator.engine.networks.runner import LoadFailed, LoadOptions
from generator.wire.messages import ModelSpec


def main(root: str, folder: str) -> int:
    try:
        model = load_model(ModelSpec("bundled", folder), LoadOptions(Path(root)), lambda _progress: None)
    except LoadFailed as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"It computes in {model.precision}.\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
