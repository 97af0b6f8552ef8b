"""Story files: a draft as plain text or Markdown and a whole story as JSON, written and read back.

Owns the formats, their limits and the checks of an imported file. Pure: takes bytes and returns values. Knows nothing
of the store. Does not check model names or sampling settings against the menu; the caller of an import does.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stories.errors import Refused
from stories.limits import (
    IMPORT_AUTHOR_RUNS,
    IMPORT_BYTES,
    IMPORT_DRAFTS,
    IMPORT_SETTINGS,
    IMPORT_UNITS,
    IMPORT_VALUES,
    NAME_CHARACTERS,
)
from stories.text.update import USER
from stories.text.utf16 import from_units, is_clean, to_units

MODES = ("continue", "prompt")

_FORMAT, _VERSION = "storygen", 1
_HEADING = re.compile(r"#[ \t]+([^\n]*\S)[ \t]*\n?\n?")
_UNSAFE = re.compile(r'[\s\0-\x1f\x7f<>:"/\\|?*]+')


class InvalidImport(Refused):
    """The file is not a story that can be imported."""

    def __init__(self, message: str) -> None:
        super().__init__("invalid", message)


@dataclass(frozen=True, slots=True)
class DraftFile:
    """A draft in a file.

    `text` is in units form. `authors` are `(length, author)` runs over it. `model` is "" if the file has no model.
    """

    text: str
    authors: tuple[tuple[int, str], ...]
    model: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    premise: str | None = None


@dataclass(frozen=True, slots=True)
class StoryFile:
    """A story in a file. `mode` is `continue` or `prompt`."""

    title: str
    mode: str
    drafts: tuple[DraftFile, ...]


def file_name(title: str, suffix: str) -> str:
    """Return a file name for `title`, without the characters that file systems refuse."""
    name = _UNSAFE.sub(" ", title)[:80].strip(" .")
    return f"{name or 'story'}.{suffix}"


def to_text(story: StoryFile) -> bytes:
    """Write a story's first draft as plain text in UTF-8."""
    return from_units(story.drafts[0].text).encode("utf-8")


def to_markdown(story: StoryFile) -> bytes:
    """Write a story's first draft as Markdown: the title as a heading, unless it is empty, then the text unchanged."""
    heading = " ".join(story.title.split())
    return (f"# {heading}\n\n" * bool(heading) + from_units(story.drafts[0].text) + "\n").encode()


def to_json(story: StoryFile) -> bytes:
    """Write a story with all its drafts as JSON, which `from_json` reads back. Lengths are UTF-16 units."""
    drafts = [
        {
            "model": draft.model,
            "sampling": dict(draft.sampling),
            "premise": draft.premise,
            "text": from_units(draft.text),
            "authors": [list(run) for run in draft.authors],
        }
        for draft in story.drafts
    ]
    content = {"format": _FORMAT, "version": _VERSION, "title": story.title, "mode": story.mode, "drafts": drafts}
    return json.dumps(content, ensure_ascii=False, indent=1).encode("utf-8")


def from_text(data: bytes, title: str) -> StoryFile:
    """Read a plain text file as a story of one draft, written by the user."""
    return _by_user(_decoded(data), title)


def from_markdown(data: bytes, title: str) -> StoryFile:
    """Read a Markdown file like `from_text`. A heading at its start becomes the title instead of `title`."""
    text = _decoded(data)
    heading = _HEADING.match(text)
    start, title = (heading.end(), heading[1]) if heading else (0, title)
    return _by_user(text[start:].removesuffix("\n"), title)


def from_json(data: bytes, title: str) -> StoryFile:
    """Read a story that `to_json` wrote. `title` is used if the file has no title. Raises InvalidImport."""
    try:
        value = json.loads(_decoded(data), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidImport("The file is not JSON, or it is nested too deeply.") from error
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        raise InvalidImport("The file is JSON, but not a story exported by StoryGen.")
    if value.get("version") != _VERSION:
        raise InvalidImport("This version of StoryGen cannot read the file, because another version exported it.")
    mode, drafts = value.get("mode"), value.get("drafts")
    if mode not in MODES:
        raise InvalidImport("The story's mode must be continue or prompt.")
    if not isinstance(drafts, list) or not 1 <= len(drafts) <= IMPORT_DRAFTS:
        raise InvalidImport(f"A story must have 1 to {IMPORT_DRAFTS} drafts.")
    own_title = _name(value.get("title", ""), "title")
    return StoryFile(own_title or title, mode, tuple(_draft(draft, mode) for draft in drafts))


@dataclass(frozen=True, slots=True)
class Writer:
    """An export format. `all_drafts` tells whether its files hold all drafts of a story, or only the first."""

    media_type: str
    all_drafts: bool
    write: Callable[[StoryFile], bytes]


WRITERS: Mapping[str, Writer] = {
    "txt": Writer("text/plain", False, to_text),
    "md": Writer("text/markdown", False, to_markdown),
    "json": Writer("application/json", True, to_json),
}
"""The export formats by file name extension. A new format needs one entry."""

READERS: Mapping[str, Callable[[bytes, str], StoryFile]] = {
    "txt": from_text,
    "md": from_markdown,
    "json": from_json,
}
"""The import formats by file name extension. A new format needs one entry: a function of the data and a title."""


def read_file(name: str, data: bytes) -> StoryFile:
    """Read the story in a file called `name`. Raises InvalidImport.

    The extension of the name selects the format. The rest of it is the title if the file itself has none.
    """
    stem, _, suffix = name.rpartition(".")
    reader = READERS.get(suffix.lower())
    if reader is None:
        raise InvalidImport(f"Files of this type cannot be imported. Choose one of these types: {', '.join(READERS)}.")
    return reader(data, _name(stem[:NAME_CHARACTERS].strip(), "title") or "Untitled")


def _by_user(text: str, title: str) -> StoryFile:
    """A story of one draft whose whole text is by the user."""
    units = _units(text)
    return StoryFile(title[:NAME_CHARACTERS], "continue", (DraftFile(units, ((len(units), USER),) if units else ()),))


def _decoded(data: bytes) -> str:
    """Decode a file to text with `\\n` line breaks: from UTF-16 if its byte order mark says so, else from UTF-8."""
    if len(data) > IMPORT_BYTES:
        raise InvalidImport(f"The file is larger than {IMPORT_BYTES // 2**20} MiB.")
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidImport("The file is not text in UTF-8. Save it as UTF-8 and try again.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _units(text: object) -> str:
    """Check a text from a file and convert it to units form."""
    if not isinstance(text, str):
        raise InvalidImport("A draft's text must be a string.")
    units = to_units(text)
    if len(units) > IMPORT_UNITS:
        raise InvalidImport(f"A draft can have at most {IMPORT_UNITS:,} characters.")
    if not is_clean(units):
        raise InvalidImport("A text must not contain half a character, NUL or a carriage return.")
    return units


def _draft(value: object, mode: str) -> DraftFile:
    if not isinstance(value, dict):
        raise InvalidImport("Each draft must be an object.")
    text, premise = _units(value.get("text")), value.get("premise")
    if (premise is None) != (mode == "continue"):
        raise InvalidImport("A draft must have a premise in prompt mode, and must have none in continue mode.")
    return DraftFile(
        text,
        _authors(value.get("authors"), len(text)),
        _name(value.get("model", ""), "model"),
        _sampling(value.get("sampling", {})),
        None if premise is None else from_units(_units(premise)),
    )


def _authors(value: object, length: int) -> tuple[tuple[int, str], ...]:
    if not isinstance(value, list) or len(value) > IMPORT_AUTHOR_RUNS:
        raise InvalidImport(f"A draft's authors must be a list of at most {IMPORT_AUTHOR_RUNS:,} entries.")
    runs: list[tuple[int, str]] = []
    for run in value:
        if not isinstance(run, list) or len(run) != 2 or type(run[0]) is not int or run[0] <= 0:
            raise InvalidImport("Each entry of a draft's authors must be a length and an author.")
        author = _name(run[1], "author")
        if author != USER and not author.startswith("model:"):
            raise InvalidImport("An author must be the user or a model.")
        runs.append((run[0], author))
    if sum(run[0] for run in runs) != length:
        raise InvalidImport("The lengths of a draft's authors must add up to its text.")
    return tuple(runs)


def _is_setting(value: object) -> bool:
    """Whether `value` has the form of a setting: a single value, or a list of values such as words."""
    values = value if isinstance(value, list) and len(value) <= IMPORT_VALUES else [value]
    return all(isinstance(item, str | int | float | bool | None) for item in values)


def _sampling(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > IMPORT_SETTINGS:
        raise InvalidImport(f"A draft's sampling settings must be an object with at most {IMPORT_SETTINGS} entries.")
    if not all(_is_setting(setting) for setting in value.values()):
        raise InvalidImport("Each sampling setting must be a single value or a list of values.")
    return value


def _name(value: object, field_name: str) -> str:
    """Check a short single line, such as a title or a model name. `field_name` is for the error."""
    if not isinstance(value, str) or len(value) > NAME_CHARACTERS or not is_clean(to_units(value)) or "\n" in value:
        raise InvalidImport(f"The {field_name} must be one line of at most {NAME_CHARACTERS} characters.")
    return value


def _refuse_constant(name: str) -> Any:
    raise InvalidImport(f"The file contains {name}, which is not a number in JSON.")
