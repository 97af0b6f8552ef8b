"""All that is measured, part after part: `python -m benchmarks [PART…]`; without parts all but `endless`, 45 minutes.

Each part is a process of its own, `python -m benchmarks.PART`, which prints a table and, last, one line of JSON. What
that line says is kept in docs/performance/figures.json, from which docs/performance.md and its pictures are made.
`endless` alone takes longer than the others together. `report` alone measures nothing and makes the page anew.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from benchmarks.record import PARTS, machine, parse, read, write
from benchmarks.report import write_page

# By itself this part writes 5,000 tokens of each voice and seed.
_SHORTENED = {"loops": ["2000"]}
_ONLY_NAMED = {"endless"}


def measure(part: str, options: list[str]) -> dict[str, Any]:
    """What the part's last line says. Raises CalledProcessError."""
    begin = time.monotonic()
    lines = []
    command = [sys.executable, "-m", f"benchmarks.{part}", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line)
            if not line.startswith("{"):
                print(line, end="", flush=True)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {"seconds": round(time.monotonic() - begin), **machine(), "figures": parse(lines)}


def main(arguments: list[str]) -> None:
    parts = arguments or [part for part in PARTS if part not in _ONLY_NAMED]
    if unknown := set(parts) - {*PARTS, "report"}:
        sys.exit(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    failed = []
    for part in parts:
        if part == "report":
            continue
        print(f"\n{part}", flush=True)
        try:
            # Whatever was measured is kept, even if a later part fails.
            write(read() | {part: measure(part, _SHORTENED.get(part, []))})
        except subprocess.CalledProcessError as error:
            failed.append(f"{part} ({error.returncode})")
    write_page(read())
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; the page shows what was measured before")


if __name__ == "__main__":
    main(sys.argv[1:])
