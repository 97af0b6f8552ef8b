"""The command that measures: `python -m benchmarks [PART…]`; without parts it runs all but `endless`, in 45 minutes.

Each part is the process `python -m benchmarks.parts.PART`, which prints a table and, as its last line, one JSON object.
That object is kept in docs/performance/figures.json, from which docs/performance.md and its pictures are generated.
`endless` alone takes longer than the other parts together. `report` measures nothing and generates the page again.
"""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

from benchmarks.report.report_page import write_page
from benchmarks.rig.record import PARTS, machine, parse, read, write

# By default this part writes 5,000 tokens for each voice and seed.
_SHORTENED = {"loops": ["2000"]}
_ONLY_NAMED = {"endless"}


def measure(part: str, options: list[str]) -> dict[str, Any]:
    """Run one part and return its record. Raises CalledProcessError if the part fails."""
    begin = time.monotonic()
    lines = []
    command = [sys.executable, "-m", f"benchmarks.parts.{part}", *options]
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
        sys.exit(f"Unknown part: {', '.join(sorted(unknown))}. The parts are {', '.join(PARTS)} and report.")
    failed = []
    for part in parts:
        if part == "report":
            continue
        print(f"\n{part}", flush=True)
        try:
            # Written after each part, so that a later failure does not lose it.
            write(read() | {part: measure(part, _SHORTENED.get(part, []))})
        except subprocess.CalledProcessError as error:
            failed.append(f"{part} ({error.returncode})")
    write_page(read())
    if failed:
        sys.exit(f"Failed: {', '.join(failed)}. The page shows the earlier figures of these parts.")


if __name__ == "__main__":
    main(sys.argv[1:])
