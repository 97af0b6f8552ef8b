"""Log lines: one JSON object per line, no text of exceptions, and no forged lines."""

from __future__ import annotations

import json
import logging
import sys

from web.logs import JsonFormat, TextFormat


def record(message: str, *values: object, failed: bool = False) -> logging.LogRecord:
    problem = None
    if failed:
        try:
            raise ValueError("no\nsuch thing")
        except ValueError:
            problem = sys.exc_info()
    return logging.LogRecord("web.x", logging.WARNING, "x.py", 1, message, values, problem)


def test_json_logs_have_one_object_per_line() -> None:
    line = JsonFormat().format(record("%s said", "ev\x1b[31mil\n{}", failed=True))
    assert "\n" not in line
    entry = json.loads(line)
    assert entry.keys() == {"time", "level", "logger", "message", "exception"}
    assert (entry["level"], entry["logger"], entry["message"]) == ("warning", "web.x", "ev\x1b[31mil\n{} said")
    assert "\x1b" not in line


def test_messages_of_exceptions_are_not_logged() -> None:
    words = "Zanzi" + "bar"
    try:
        try:
            raise KeyError(words)
        except KeyError:
            raise ValueError(words) from None
    except ValueError:
        failed = logging.LogRecord("web.x", logging.ERROR, "x.py", 1, "failed", (), sys.exc_info())
    for form in (JsonFormat(), TextFormat()):
        line = form.format(failed)
        assert "ValueError" in line
        assert "test_logs.py" in line
        assert "Zanzibar" not in line


def test_a_message_cannot_forge_log_lines() -> None:
    text = TextFormat().format(record("%s", "one\n2026-01-01 00:00:00 ERROR forged\r\x1b[2J", failed=True))
    first, *rest = text.split("\n")
    assert first.endswith("WARNING one")
    assert all(line.startswith("    ") for line in rest)
    assert not {"\r", "\x1b"} & set(text)
