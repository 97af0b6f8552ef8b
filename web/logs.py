"""How the log is written: to standard error, for people or, one JSON object a line, for programs.

Owns the two formats. No story text, title, premise or cookie is ever given to a logger, and what an exception says is
left out, since it may quote one: its kind and the places it came through remain. Control characters of what comes from
outside are escaped here, so that nobody writes lines of his own.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import datetime, timezone
from types import TracebackType

_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class _Discreet(logging.Formatter):
    def formatException(self, ei: _Raised) -> str:
        """Kind and places of what was raised and of what led to it; the words only of the system's own errors."""
        parts = []
        error = ei[1]
        while error is not None:
            words = f": {error.strerror}" if isinstance(error, OSError) else ""
            places = "".join(traceback.format_tb(error.__traceback__))
            parts.append(f"{places}{type(error).__qualname__}{words}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\nafter\n".join(parts)


class TextFormat(_Discreet):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        first, *rest = super().format(record).translate(_ESCAPES).split("\n")
        return "\n".join([first, *(f"    {line}" for line in rest)])


class JsonFormat(_Discreet):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def log_to_stderr(level: str, form: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormat() if form == "json" else TextFormat())
    logging.basicConfig(level=level.upper(), handlers=[handler])
