"""Log: lines of the engine, of libraries and of crashes have one format and contain no text of a story."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from generator.engine.process.log import kind_and_place

ROOT = Path(__file__).parents[4]


def lines_of(form: str, statement: str) -> list[str]:
    """Return the lines on stderr of a process that sets the format and runs the statement."""
    program = (
        f"import logging, threading, warnings\nfrom generator.engine.process import log\nlog.set_format({form!r})\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", program + statement],
        capture_output=True,
        cwd=ROOT,
        timeout=60,
        check=False,
        text=True,
    )
    return result.stderr.splitlines()


def test_a_line_is_text_or_json() -> None:
    assert lines_of("text", "log.log('It is up.')") == ["engine: It is up."]
    (line,) = lines_of("json", "log.log('It is up.')")
    entry = json.loads(line)
    assert (entry["level"], entry["logger"], entry["message"]) == ("warning", "engine", "It is up.")


@pytest.mark.parametrize(
    ("statement", "logger", "message"),
    [
        ("logging.getLogger('library').warning('It is slow.')", "library", "It is slow."),
        ("warnings.warn('It is old.')", "py.warnings", "It is old."),
        ("raise ValueError('Zanzibar')", "engine", "The engine crashed: ValueError (<string>:4 in <module>)"),
        (
            "def fail():\n    raise ValueError('Zanzibar')\nthreading.Thread(target=fail).start()",
            "engine",
            "A thread crashed: ValueError (<string>:5 in fail)",
        ),
    ],
)
def test_library_lines_and_crashes_have_the_same_format(statement: str, logger: str, message: str) -> None:
    lines = lines_of("json", statement)
    entry = json.loads(lines[0])
    assert (len(lines), entry["logger"]) == (1, logger)
    assert message in entry["message"]
    assert "Zanzibar" not in lines[0]


def test_an_error_is_described_by_its_type_and_place_without_its_message() -> None:
    try:
        raise KeyError("Zanzibar")
    except KeyError as error:
        described = kind_and_place(error)
    assert described.startswith("KeyError (")
    assert "test_log.py" in described
    assert "Zanzibar" not in described
    assert kind_and_place(ValueError("Zanzibar")) == "ValueError"
    assert kind_and_place(None) == "unknown error"
