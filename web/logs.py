"""Logs: the two formats of the log on standard error, plain text and one JSON object per line.

Owns the formats. Story text, titles, premises and cookies are never given to a logger. The message of an exception is
left out, because it may quote such text. Its type and traceback are logged. Control characters are escaped, so that
text from outside cannot forge lines of the log.
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


class _PrivateFormatter(logging.Formatter):
    """A formatter that leaves out the messages of exceptions."""

    def formatException(self, ei: _Raised) -> str:
        """Return the type and traceback of the exception and of its causes.

        The message is included for errors of the operating system only.
        """
        parts = []
        error = ei[1]
        while error is not None:
            words = f": {error.strerror}" if isinstance(error, OSError) else ""
            places = "".join(traceback.format_tb(error.__traceback__))
            parts.append(f"{places}{type(error).__qualname__}{words}")
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        return "\nafter\n".join(parts)


class TextFormat(_PrivateFormatter):
    """Plain text with escaped control characters. Further lines of an entry are indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        first, *rest = super().format(record).translate(_ESCAPES).split("\n")
        return "\n".join([first, *(f"    {line}" for line in rest)])


class JsonFormat(_PrivateFormatter):
    """One JSON object per line."""

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
    """Send the log to standard error. `form` is `json` or `text`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormat() if form == "json" else TextFormat())
    logging.basicConfig(level=level.upper(), handlers=[handler])
