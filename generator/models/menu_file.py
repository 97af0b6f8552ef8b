"""The menu file people edit (static/config.js): which models it names, or where its mistake is.

Owns reading that one JavaScript statement. Knows nothing of whether the models exist.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import json5

MODES: Mapping[str, str] = {"continue": "continuationModels", "prompt": "promptModels"}
MAX_BYTES = 64 * 1024
MAX_ENTRIES = 200
MAX_NAME_LENGTH = 100
MAX_WINDOW = 1 << 20

_TOKEN = re.compile(
    r"""//[^\n]* | /\*.*?\*/ | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' | [A-Za-z_$][\w$]* | \S""",
    re.VERBOSE | re.DOTALL,
)
_JSON5_ERROR = re.compile(r"<string>:(?P<line>\d+) Unexpected (?P<what>.*) at column (?P<column>\d+)")


class MenuFileError(ValueError):
    """The file cannot be used; the message is a sentence that says where and why."""


@dataclass(frozen=True, slots=True)
class MenuLine:
    """One entry of the file: the name people see, the folder or hub id, and what else it says."""

    name: str
    model: str
    prompt_template: str | None = None
    window: int | None = None


def parse(source: bytes) -> dict[str, tuple[MenuLine, ...]]:
    """The entries by mode (`continue`, `prompt`), in the file's order. Raises MenuFileError."""
    if len(source) > MAX_BYTES:
        raise MenuFileError(f"the file is larger than {MAX_BYTES // 1024} KiB")
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MenuFileError(f"the file is not saved as UTF-8 (byte {error.start + 1})") from error
    config = _evaluate(text)
    return {mode: tuple(_lines(config, section)) for mode, section in MODES.items()}


def _evaluate(text: str) -> dict[str, Any]:
    start, end = _object_of(text, "ModelConfig")
    # Blanks in place of what stands before it keep the lines and columns of the file in json5's messages.
    blank = re.sub(r"[^\n]", " ", text[:start])
    try:
        value = json5.loads(blank + text[start:end])
    except RecursionError as error:
        raise MenuFileError("ModelConfig is nested too deeply") from error
    except ValueError as error:
        if place := _JSON5_ERROR.search(str(error)):
            raise MenuFileError(
                "line {line}, column {column}: unexpected {what}".format(**place.groupdict())
            ) from error
        raise MenuFileError(str(error)) from error
    return _with_whole_characters(value)


def _with_whole_characters(value: dict[str, Any]) -> dict[str, Any]:
    """json5 leaves characters that are written as two escapes in halves; json joins them."""
    joined: dict[str, Any] = json.loads(json.dumps(value))
    try:
        json.dumps(joined, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise MenuFileError("an escape in it stands for half a character") from error
    return joined


def _object_of(text: str, name: str) -> tuple[int, int]:
    """Where the object assigned to the variable `name` begins and ends. Comments and strings hide nothing."""
    tokens = [match for match in _TOKEN.finditer(text) if not match[0].startswith(("//", "/*"))]
    for before, equals, brace in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (before[0], equals[0], brace[0]) == (name, "=", "{"):
            return brace.start(), _closing(tokens, brace, text)
    raise MenuFileError(f"there is no `var {name} = {{ … }};` in it")


def _closing(tokens: list[re.Match[str]], brace: re.Match[str], text: str) -> int:
    depth = 0
    for token in tokens[tokens.index(brace) :]:
        depth += (token[0] == "{") - (token[0] == "}")
        if depth == 0:
            return token.end()
    line = text.count("\n", 0, brace.start()) + 1
    raise MenuFileError(f"the brace opened in line {line} is never closed")


def _lines(config: dict[str, Any], section: str) -> Iterator[MenuLine]:
    entries = config.get(section, {})
    if not isinstance(entries, dict):
        raise MenuFileError(f"{section} must be {{ name: model, … }}")
    if len(entries) > MAX_ENTRIES:
        raise MenuFileError(f"{section} has more than {MAX_ENTRIES} entries")
    for name, value in entries.items():
        if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
            raise MenuFileError(
                f"{section}: a name must have 1 to {MAX_NAME_LENGTH} printable characters: {name[:50]!r}"
            )
        yield _line(f"{section}, {name!r}", name, {"model": value} if isinstance(value, str) else value)


def _line(place: str, name: str, value: object) -> MenuLine:
    if not isinstance(value, dict) or not isinstance(model := value.get("model"), str):
        raise MenuFileError(f"{place}: the value must be a folder, a hub model or {{model: …}}")
    template, window = value.get("promptTemplate"), value.get("window")
    if template is not None and (not isinstance(template, str) or "{prompt}" not in template):
        raise MenuFileError(f"{place}: promptTemplate must be a text with {{prompt}} in it")
    if window is not None and (type(window) is not int or not 1 <= window <= MAX_WINDOW):
        raise MenuFileError(f"{place}: window must be a whole number from 1 to {MAX_WINDOW}")
    return MenuLine(name, model, template, window)
