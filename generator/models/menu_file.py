"""Menu file: the parser of static/config.js, the file in which people list models.

Owns the reading of its one JavaScript statement, and the place and description of each mistake. Knows nothing of
whether the models exist.
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
    """The file cannot be used. The message is a sentence that says where and why."""


@dataclass(frozen=True, slots=True)
class MenuFileEntry:
    """One entry of the file: the name that the page shows, the folder or hub id, and the optional settings."""

    name: str
    model: str
    prompt_template: str | None = None
    window: int | None = None


def parse(source: bytes) -> dict[str, tuple[MenuFileEntry, ...]]:
    """Return the entries by mode (`continue`, `prompt`), in the order of the file. Raises MenuFileError."""
    if len(source) > MAX_BYTES:
        raise MenuFileError(f"It is larger than {MAX_BYTES // 1024} KiB.")
    try:
        text = source.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MenuFileError(f"It is not saved as UTF-8 (byte {error.start + 1}).") from error
    config = _evaluate(text)
    return {mode: tuple(_entries(config, section)) for mode, section in MODES.items()}


def _evaluate(text: str) -> dict[str, Any]:
    """Return the value of the object that is assigned to `ModelConfig`. Raises MenuFileError."""
    start, end = _object_of(text, "ModelConfig")
    # The text before the object becomes blanks, so that json5 reports lines and columns of the file.
    blanks = re.sub(r"[^\n]", " ", text[:start])
    try:
        value = json5.loads(blanks + text[start:end])
    except RecursionError as error:
        raise MenuFileError("ModelConfig is nested too deeply.") from error
    except ValueError as error:
        if place := _JSON5_ERROR.search(str(error)):
            raise MenuFileError(
                "Line {line}, column {column} has an unexpected {what}.".format(**place.groupdict())
            ) from error
        raise MenuFileError(f"{error}.") from error
    return _with_joined_surrogates(value)


def _with_joined_surrogates(value: dict[str, Any]) -> dict[str, Any]:
    """Return `value` with surrogate pairs joined: json5 leaves a character of two escapes in halves, json joins them.

    Raises MenuFileError for half a character.
    """
    joined: dict[str, Any] = json.loads(json.dumps(value))
    try:
        json.dumps(joined, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise MenuFileError("An escape in it stands for half a character.") from error
    return joined


def _object_of(text: str, name: str) -> tuple[int, int]:
    """Return the start and end of the object that is assigned to the variable `name`, ignoring comments and strings.

    Raises MenuFileError.
    """
    tokens = [match for match in _TOKEN.finditer(text) if not match[0].startswith(("//", "/*"))]
    for before, equals, brace in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (before[0], equals[0], brace[0]) == (name, "=", "{"):
            return brace.start(), _end_of_braces(tokens, brace, text)
    raise MenuFileError(f"It has no `var {name} = {{ … }};`.")


def _end_of_braces(tokens: list[re.Match[str]], brace: re.Match[str], text: str) -> int:
    """Return the end of the brace that closes `brace`. Raises MenuFileError."""
    depth = 0
    for token in tokens[tokens.index(brace) :]:
        depth += (token[0] == "{") - (token[0] == "}")
        if depth == 0:
            return token.end()
    line = text.count("\n", 0, brace.start()) + 1
    raise MenuFileError(f"The brace opened in line {line} is never closed.")


def _entries(config: dict[str, Any], section: str) -> Iterator[MenuFileEntry]:
    """Yield the entries of one section of the file. Raises MenuFileError."""
    entries = config.get(section, {})
    if not isinstance(entries, dict):
        raise MenuFileError(f"{section} must be {{ name: model, … }}.")
    if len(entries) > MAX_ENTRIES:
        raise MenuFileError(f"{section} has more than {MAX_ENTRIES} entries.")
    for name, value in entries.items():
        if not 0 < len(name) <= MAX_NAME_LENGTH or not name.isprintable():
            raise MenuFileError(
                f"In {section}, a name must have 1 to {MAX_NAME_LENGTH} printable characters, unlike {name[:50]!r}."
            )
        yield _entry(f"In {section}, {name!r}", name, {"model": value} if isinstance(value, str) else value)


def _entry(place: str, name: str, value: object) -> MenuFileEntry:
    """Return one entry. `place` begins the message of a mistake. Raises MenuFileError."""
    if not isinstance(value, dict) or not isinstance(model := value.get("model"), str):
        raise MenuFileError(f"{place} must be a folder, a hub model or {{model: …}}.")
    template, window = value.get("promptTemplate"), value.get("window")
    if template is not None and (not isinstance(template, str) or "{prompt}" not in template):
        raise MenuFileError(f"{place} needs a promptTemplate that is a text with {{prompt}} in it.")
    if window is not None and (type(window) is not int or not 1 <= window <= MAX_WINDOW):
        raise MenuFileError(f"{place} needs a window that is a whole number from 1 to {MAX_WINDOW}.")
    return MenuFileEntry(name, model, template, window)
