"""Source mark: a digest of this package's source, the key of everything that changes with it.

Compiled code and measured precision are valid for one mark only. Owns the content of the mark. Knows nothing of the
data kept under it.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def source_mark() -> str:
    """Return a digest of every Python file of this package and of numba's version."""
    digest = hashlib.blake2b(digest_size=8)
    try:
        digest.update(version("numba").encode())
    except PackageNotFoundError:
        digest.update(b"without numba")
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
