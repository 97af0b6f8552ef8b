"""Log: the engine's lines on stderr, as text for people or as one JSON object per line for programs.

The engine shares stderr with the web process, and its JSON has the fields of the web process's JSON. Owns the rule that
no line contains story text. Knows nothing of the web process's logging otherwise.
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


def set_format(form: str) -> None:
    """Write all lines as JSON if `form` is `json`, otherwise as text.

    This includes the log lines and warnings of libraries and uncaught exceptions.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else logging.Formatter("%(name)s: %(message)s"))
    logging.basicConfig(handlers=[handler], force=True)
    logging.captureWarnings(True)
    sys.excepthook = lambda _kind, error, _trace: log(f"The engine crashed: {kind_and_place(error)}")
    threading.excepthook = lambda thread: log(f"A thread crashed: {kind_and_place(thread.exc_value)}")


def log(line: str) -> None:
    """Write a line. It must not contain story text."""
    _engine.warning("%s", line)


def kind_and_place(error: BaseException | None) -> str:
    """Return the type of the error and the place where it was raised, without its message, which may quote a story."""
    if error is None:
        return "unknown error"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name})" if frames else ""
    return type(error).__name__ + place
