"""Checks: validation of single values that come from a client.

Owns the rules for ids, counts, texts, change sets and sampling parameters. Knows nothing of events and routes.
Each check returns the value or raises `Refused` with a sentence that says what is allowed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from generator.wire.sampling_params import check as check_sampling_param
from stories import limits
from stories.errors import Refused
from stories.text.changes import ChangeSet, InvalidChange
from stories.text.utf16 import from_units, is_clean, to_units

MAX_COUNT = 2**53 - 1
RESERVED_CLIENTS = ("server", "model")

_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_CLIENT = re.compile(r"[0-9a-f]{32}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class Check:
    """A check of one value. `words` describes the accepted values; a test compares them with `docs/protocol.md`.

    `parse(value, name)` returns the value, or raises Refused with the name of the field.
    """

    words: str
    parse: Callable[[object, str], Any]


def invalid(message: str) -> Refused:
    """Return a refusal with the code `invalid`."""
    return Refused("invalid", message)


def _id(value: object, name: str) -> str:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise invalid(f"{name} must be an id: 16 to 64 letters, digits, hyphens or underscores.")
    return value


def _client(value: object, name: str) -> str:
    if value in RESERVED_CLIENTS:
        raise invalid(f"{name} must not be server or model. These names are reserved.")
    if not isinstance(value, str) or not _CLIENT.fullmatch(value):
        raise invalid(f"{name} must be 32 hexadecimal digits in lower case.")
    return value


def whole(low: int, high: int = MAX_COUNT) -> Check:
    """Return the check of a whole number from `low` to `high`. It refuses true, false and 1.0."""

    def parse(value: object, name: str) -> int:
        if type(value) is not int or not low <= value <= high:
            raise invalid(f"{name} must be a whole number from {low} to {high}.")
        return value

    return Check(f"whole number from {low}" + ("" if high == MAX_COUNT else f" to {high}"), parse)


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise invalid(f"{name} must be true or false.")
    return value


def text(limit: int) -> Check:
    """Return the check of a text of at most `limit` bytes of UTF-8.

    It refuses NUL, carriage returns and unpaired surrogates, which a draft may not contain.
    """

    def parse(value: object, name: str) -> str:
        if not isinstance(value, str):
            raise invalid(f"{name} must be text.")
        units = to_units(value)
        if not is_clean(units):
            raise invalid(f"{name} must not contain NUL, carriage returns or unpaired surrogates.")
        whole_characters = from_units(units)
        if len(whole_characters.encode()) > limit:
            raise Refused("too_large", f"{name} must be at most {limit // 1024} KiB long.")
        return whole_characters

    return Check(f"text of at most {limit // 1024} KiB", parse)


def line(limit: int) -> Check:
    """Return the check of one line of at most `limit` characters without control characters."""

    def parse(value: object, name: str) -> str:
        given: str = TEXT.parse(value, name)
        if len(given) > limit or _CONTROL.search(given):
            raise invalid(f"{name} must be one line of at most {limit} characters, without control characters.")
        return given

    return Check(f"one line of at most {limit} characters", parse)


def one_of(*allowed: str) -> Check:
    """Return the check of a word from a fixed list."""

    def parse(value: object, name: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise invalid(f"{name} must be one of: {', '.join(allowed)}.")
        return value

    return Check("one of " + ", ".join(allowed), parse)


def listed(item: Check, most: int) -> Check:
    """Return the check of a list of 1 to `most` values, each of which `item` accepts."""

    def parse(value: object, name: str) -> list[Any]:
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise invalid(f"{name} must be a list of 1 to {most} items.")
        return [item.parse(part, f"{name}[{at}]") for at, part in enumerate(value)]

    return Check(f"list of 1 to {most}: {item.words}", parse)


def _sampling(value: object, name: str) -> dict[str, Any]:
    params = object_of(value, name)
    for param, given in params.items():
        check_sampling_param(param, given)
    return dict(params)


def object_of(value: object, name: str) -> Mapping[str, Any]:
    """Return the value if it is a JSON object. Raise Refused otherwise."""
    if not isinstance(value, dict):
        raise invalid(f"{name} must be a JSON object.")
    return value


def _changes(value: object, name: str) -> ChangeSet:
    try:
        return ChangeSet.from_json(value)
    except InvalidChange as error:
        raise invalid(f"{name}: {error}") from error


def _authors(value: object, name: str) -> tuple[tuple[int, str], ...]:
    """Return the author runs `[[length, author], …]` of an inserted text. Each length is above 0."""
    if not isinstance(value, list) or len(value) > limits.AUTHOR_RUNS:
        raise invalid(f"{name} must be a list of at most {limits.AUTHOR_RUNS} pairs [length, author].")
    return tuple(_author_run(run, f"{name}[{at}]") for at, run in enumerate(value))


def _author_run(run: object, name: str) -> tuple[int, str]:
    if not isinstance(run, list) or len(run) != 2:
        raise invalid(f"{name} must be a pair [length, author].")
    author = NAME.parse(run[1], f"{name}[1]")
    if author != "user" and not author.startswith("model:"):
        raise invalid(f"{name}[1] must be user, or model: followed by the name of a model.")
    return COUNT_FROM_ONE.parse(run[0], f"{name}[0]"), author


ID = Check("id", _id)
CLIENT = Check("32 hexadecimal digits in lower case", _client)
COUNT = whole(0)
COUNT_FROM_ONE = whole(1)
FLAG = Check("true or false", _flag)
TEXT = text(limits.TEXT_BYTES)
BEGINNING = text(limits.PROMPT_BYTES)
TITLE = line(limits.TITLE_CHARACTERS)
NAME = line(limits.NAME_CHARACTERS)
MODE = one_of("continue", "prompt")
SAMPLING = Check("sampling settings, any of them", _sampling)
CHANGES = Check("ChangeSet as CodeMirror writes it", _changes)
AUTHORS = Check("[[length, author], …] over the inserted text", _authors)
