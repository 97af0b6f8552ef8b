"""How the log is written: to standard error, for people or, one JSON object a line, for programs.

Owns the two formats. No story text, title, premise or cookie is ever given to a logger. Control characters of what
comes from outside are escaped here, so that nobody writes lines of his own.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import datetime, timezone

_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class TextFormat(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        first, *rest = super().format(record).translate(_ESCAPES).split("\n")
        return "\n".join([first, *(f"    {line}" for line in rest)])


class JsonFormat(logging.Formatter):
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
