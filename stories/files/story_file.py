"""Stories as files: a draft as plain text or Markdown, a whole story as JSON, and all three read back.

Owns the formats, their limits and what is refused. Pure: bytes in, values out. Knows nothing of the store,
of which models there are, or of which sampling settings make sense; whoever imports checks those.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stories.text.update import USER
from stories.text.utf16 import from_units, is_clean, to_units

MAX_BYTES = 32 * 2**20
MAX_UNITS = 8_000_000
MAX_DRAFTS = 64
MAX_RUNS = 200_000
MAX_NAME = 200
MAX_SETTINGS = 64
MAX_VALUES = 1_000
MODES = ("continue", "prompt")

_FORMAT, _VERSION = "storygen", 1
_HEADING = re.compile(r"#[ \t]+([^\n]*\S)[ \t]*\n?\n?")
_UNSAFE = re.compile(r'[\s\0-\x1f\x7f<>:"/\\|?*]+')


class InvalidImport(ValueError):
    """A file is not a story; the message is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class DraftFile:
    """`text` is in units form, `authors` are `(length, author)` over it. `model` is "" where the file names none."""

    text: str
    authors: tuple[tuple[int, str], ...]
    model: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)
    premise: str | None = None


@dataclass(frozen=True, slots=True)
class StoryFile:
    title: str
    mode: str
    drafts: tuple[DraftFile, ...]


def file_name(title: str, suffix: str) -> str:
    """A file name for `title`, without the characters that file systems refuse."""
    name = _UNSAFE.sub(" ", title)[:80].strip(" .")
    return f"{name or 'story'}.{suffix}"


def to_text(draft: DraftFile) -> bytes:
    return from_units(draft.text).encode("utf-8")


def to_markdown(title: str, draft: DraftFile) -> bytes:
    """The title, if there is one, as a heading, then the text as it stands."""
    heading = " ".join(title.split())
    return (f"# {heading}\n\n" * bool(heading) + from_units(draft.text) + "\n").encode()


def to_json(story: StoryFile) -> bytes:
    """The whole story, all drafts; `from_json` reads it back. Lengths are UTF-16 units."""
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
    """A story whose one draft is the file's text, all by the user."""
    return _by_user(_decoded(data), title)


def from_markdown(data: bytes, title: str) -> StoryFile:
    """Like `from_text`; a heading at the start is the title, in place of `title`."""
    text = _decoded(data)
    heading = _HEADING.match(text)
    start, title = (heading.end(), heading[1]) if heading else (0, title)
    return _by_user(text[start:].removesuffix("\n"), title)


def from_json(data: bytes, title: str) -> StoryFile:
    """The inverse of `to_json`; `title` is for a file without one."""
    try:
        value = json.loads(_decoded(data), parse_constant=_refuse_constant)
    except InvalidImport:
        raise
    except (ValueError, RecursionError) as error:
        raise InvalidImport("The file is not JSON, or is nested too deeply.") from error
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        raise InvalidImport("The file is JSON, but not a story of StoryGen.")
    if value.get("version") != _VERSION:
        raise InvalidImport("The story was exported by another version of StoryGen, which this one cannot read.")
    mode, drafts = value.get("mode"), value.get("drafts")
    if mode not in MODES:
        raise InvalidImport("The story's mode has to be continue or prompt.")
    if not isinstance(drafts, list) or not 1 <= len(drafts) <= MAX_DRAFTS:
        raise InvalidImport(f"A story has 1 to {MAX_DRAFTS} drafts.")
    given = _name(value.get("title", ""), "title")
    return StoryFile(given or title, mode, tuple(_draft(draft, mode) for draft in drafts))


READERS: Mapping[str, Callable[[bytes, str], StoryFile]] = {
    "txt": from_text,
    "md": from_markdown,
    "json": from_json,
}


def read_file(name: str, data: bytes) -> StoryFile:
    """The story in a file of this name, which says its format and the title it has if none is inside.

    Raises InvalidImport.
    """
    stem, _, suffix = name.rpartition(".")
    reader = READERS.get(suffix.lower())
    if reader is None:
        raise InvalidImport("Only .txt, .md and .json files can be imported.")
    return reader(data, _name(stem[:MAX_NAME].strip(), "title") or "Untitled")


def _by_user(text: str, title: str) -> StoryFile:
    units = _units(text)
    return StoryFile(title[:MAX_NAME], "continue", (DraftFile(units, ((len(units), USER),) if units else ()),))


def _decoded(data: bytes) -> str:
    """The file as text with `\\n` line breaks: UTF-8, or UTF-16 where its first bytes say so."""
    if len(data) > MAX_BYTES:
        raise InvalidImport(f"The file is larger than {MAX_BYTES // 2**20} MiB.")
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidImport("The file is not text in UTF-8; save it as UTF-8 and try again.") from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _units(text: object) -> str:
    if not isinstance(text, str):
        raise InvalidImport("A draft's text has to be text.")
    units = to_units(text)
    if len(units) > MAX_UNITS:
        raise InvalidImport(f"A draft holds at most {MAX_UNITS:,} characters.")
    if not is_clean(units):
        raise InvalidImport("A text holds half a character, NUL or a carriage return.")
    return units


def _draft(value: object, mode: str) -> DraftFile:
    if not isinstance(value, dict):
        raise InvalidImport("Each draft has to be an object.")
    text, premise = _units(value.get("text")), value.get("premise")
    if (premise is None) != (mode == "continue"):
        raise InvalidImport("Drafts have a premise in prompt mode, and only there.")
    return DraftFile(
        text,
        _authors(value.get("authors"), len(text)),
        _name(value.get("model", ""), "model"),
        _sampling(value.get("sampling", {})),
        None if premise is None else from_units(_units(premise)),
    )


def _authors(value: object, length: int) -> tuple[tuple[int, str], ...]:
    if not isinstance(value, list) or len(value) > MAX_RUNS:
        raise InvalidImport("A draft's authors have to be a list.")
    runs: list[tuple[int, str]] = []
    for run in value:
        if not isinstance(run, list) or len(run) != 2 or type(run[0]) is not int or run[0] <= 0:
            raise InvalidImport("Each entry of a draft's authors is a length and an author.")
        author = _name(run[1], "author")
        if author != USER and not author.startswith("model:"):
            raise InvalidImport("An author is user or a model.")
        runs.append((run[0], author))
    if sum(run[0] for run in runs) != length:
        raise InvalidImport("A draft's authors do not add up to its text.")
    return tuple(runs)


def _is_setting(value: object) -> bool:
    """A value, or a list of values such as words; what they mean is for others to check."""
    values = value if isinstance(value, list) and len(value) <= MAX_VALUES else [value]
    return all(isinstance(one, str | int | float | bool | None) for one in values)


def _sampling(value: object) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MAX_SETTINGS:
        raise InvalidImport("A draft's sampling settings have to be an object.")
    if not all(_is_setting(setting) for setting in value.values()):
        raise InvalidImport("Each sampling setting has to be a single value, or a list of some.")
    return value


def _name(value: object, what: str) -> str:
    """A short single line, such as a title or a model's name."""
    if not isinstance(value, str) or len(value) > MAX_NAME or not is_clean(to_units(value)) or "\n" in value:
        raise InvalidImport(f"The {what} has to be one line of at most {MAX_NAME} characters.")
    return value


def _refuse_constant(name: str) -> Any:
    raise InvalidImport(f"The file holds {name}, which is no number.")
