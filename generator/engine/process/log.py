"""Log: lines to stderr, which is the web process's: for people or, one JSON object each, for programs.

Never story text. Knows nothing of how the web process writes its own lines, except that JSON has the same fields.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import traceback
from datetime import datetime, timezone

_engine = logging.getLogger("engine")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds")
        entry = {"time": time, "level": record.levelname.lower(), "logger": record.name}
        return json.dumps({**entry, "message": record.getMessage()})


def write_as(form: str) -> None:
    """`json` or text. What libraries log and warn about goes the same way, and so does what nobody caught."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else logging.Formatter("%(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = lambda _kind, error, _trace: log(f"crashed: {kind_and_place(error)}")
    threading.excepthook = lambda thread: log(f"a thread ended: {kind_and_place(thread.exc_value)}")


def log(line: str) -> None:
    _engine.warning("%s", line)


def kind_and_place(error: BaseException | None) -> str:
    """What was raised, and where. Its message stays out: it may quote what somebody wrote."""
    if error is None:
        return "nothing is known of it"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    return type(error).__name__ + place
