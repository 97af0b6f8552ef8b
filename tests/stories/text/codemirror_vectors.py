"""CodeMirror vectors: changes and their results as CodeMirror computed them, for the tests of its algebra's port.

tests/vectors/README.md describes the file. Knows nothing of the code under test.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parents[2] / "vectors" / "changes.json"
_VECTORS: dict[str, list[dict[str, Any]]] = json.loads(_FILE.read_text(encoding="utf-8"))
PAIRS, REBASES = _VECTORS["pairs"], _VECTORS["rebases"]


def canonical(value: object) -> object:
    """Return `value` as it arrives over the wire, with surrogate pairs joined, to compare it with the vectors."""
    return json.loads(json.dumps(value))
