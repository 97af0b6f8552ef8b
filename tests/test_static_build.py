"""The committed build of the page: up to date with the sources, complete and small. The tests need no Node."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
STATIC = ROOT / "static"
BUDGET_BYTES = 200 * 1024


def sources() -> list[str]:
    """Return the files and folders that client/build/stamp.ts hashes: its SOURCES."""
    stamp = (ROOT / "client/build/stamp.ts").read_text("utf-8")
    found = re.search(r"SOURCES = (\[.*?\])", stamp, re.DOTALL)
    assert found is not None
    names: list[str] = json.loads(found[1])
    return names


def files(source: str) -> list[str]:
    """Return the file itself, or all files below the folder, relative to client/."""
    client = ROOT / "client"
    path = client / source
    if path.is_file():
        return [source]
    return [each.relative_to(client).as_posix() for each in path.rglob("*") if each.is_file()]


def source_hash() -> str:
    """Return the hash of the sources, as client/build/stamp.ts computes it."""
    digest = hashlib.sha256()
    # JavaScript sorts by UTF-16 units. For the names of source files the order is the same as Python's.
    for path in sorted(path for source in sources() for path in files(source)):
        content = (ROOT / "client" / path).read_bytes().replace(b"\r\n", b"\n")
        digest.update(f"{path}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def test_the_build_is_made_from_the_present_sources() -> None:
    built = json.loads((STATIC / "build.json").read_text("utf-8"))["hash"]
    assert built == source_hash(), "client/ has changed. Run `npm ci && npm run build` in client/ and commit static/."


def test_every_file_that_the_page_loads_is_built() -> None:
    style = (STATIC / "app.css").read_text("utf-8")
    for name in re.findall(r"url\(\"?\.?/?([\w.-]+\.woff2)", style):
        assert (STATIC / name).is_file(), name
    for name in re.findall(r"/static/([\w.-]+)\?", (ROOT / "templates/index.html").read_text("utf-8")):
        assert (STATIC / name).is_file(), name


def test_the_compressed_page_stays_within_its_budget() -> None:
    size = sum(len(gzip.compress((STATIC / name).read_bytes())) for name in ("app.js", "app.css"))
    assert size <= BUDGET_BYTES


def test_the_lock_file_contains_no_download_addresses() -> None:
    assert '"resolved"' not in (ROOT / "client/package-lock.json").read_text("utf-8")
