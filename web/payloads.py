"""Payloads: the fields of each event and each REST request, one class per payload.

Owns the names, types and sizes of the fields. Knows nothing of their use. Every payload is made by `parse`, which
returns the payload or raises `Refused` for any input.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cache
from typing import Annotated, Any, TypeVar, get_args, get_type_hints

from stories import limits
from stories.errors import Refused
from stories.text.changes import ChangeSet
from stories.text.utf16 import from_units
from web import checks
from web.checks import Check, invalid

Payload = TypeVar("Payload")


@dataclass(frozen=True, slots=True)
class WireField:
    """A field of a payload: its JSON name, its Python attribute and its check.

    An `optional` field may be missing. It may not be null.
    """

    name: str
    attribute: str
    check: Check
    optional: bool


def parse(shape: type[Payload], data: object, name: str = "The payload") -> Payload:
    """Return `data` as an instance of `shape`. Raise Refused for a missing, unknown or invalid field.

    `name` is the name of the payload in the message of a refusal.
    """
    given = checks.object_of(data, name)
    known = fields_of(shape)  # type: ignore[arg-type]  # mypy looks at __hash__ of the instances
    for unknown in given.keys() - known.keys():
        raise invalid(f"{name} must not have the field {str(unknown)[:40]!a}.")
    for field in known.values():
        if not field.optional and field.name not in given:
            raise invalid(f"{name} must have the field {field.name}.")
    return shape(**{known[key].attribute: known[key].check.parse(value, key) for key, value in given.items()})


@cache
def fields_of(shape: type) -> Mapping[str, WireField]:
    """Return the fields of a payload class by their JSON names.

    The attribute `from_` has the JSON name `from`, which is a reserved word in Python.
    """
    hints = get_type_hints(shape, include_extras=True)
    found = (
        WireField(f.name.rstrip("_"), f.name, get_args(hints[f.name])[1], f.default is not MISSING)
        for f in fields(shape)
    )
    return {field.name: field for field in found}


def given(payload: object) -> dict[str, Any]:
    """Return the fields of a payload that are not None, by their JSON names."""
    named = ((field.name, getattr(payload, field.attribute)) for field in fields_of(type(payload)).values())  # type: ignore[arg-type]
    return {key: value for key, value in named if value is not None}


@dataclass(frozen=True, slots=True)
class Auth:
    """The auth data of a connection. `protocol` is the version that the page uses."""

    protocol: Annotated[int, checks.COUNT]


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """`open`: subscribe to a draft. `revision` is the one that the page already has."""

    draft: Annotated[str, checks.ID]
    revision: Annotated[int | None, checks.COUNT] = None


@dataclass(frozen=True, slots=True)
class CloseRequest:
    """`close`: end the subscription to a draft."""

    draft: Annotated[str, checks.ID]


@dataclass(frozen=True, slots=True)
class EditUpdate:
    """One update of an edit. `authors` are the runs of authors over the inserted text."""

    changes: Annotated[ChangeSet, checks.CHANGES]
    authors: Annotated[tuple[tuple[int, str], ...], checks.AUTHORS] = ()


def _edit_update(value: object, name: str) -> EditUpdate:
    return parse(EditUpdate, value, name)


EDIT_UPDATE = Check("{changes, authors?}", _edit_update)
_EDIT_UPDATES = checks.listed(EDIT_UPDATE, limits.EDIT_UPDATES)


def _edit_updates(value: object, name: str) -> list[EditUpdate]:
    updates: list[EditUpdate] = _EDIT_UPDATES.parse(value, name)
    if sum(len(update.changes.sections) for update in updates) > limits.CHANGE_SECTIONS:
        raise Refused(
            "too_large", f"One edit may have at most {limits.CHANGE_SECTIONS} parts. Send it in several edits."
        )
    inserted = (change.inserted for update in updates for change in update.changes.iter_changes())
    if sum(len(from_units(text).encode()) for text in inserted) > limits.TEXT_BYTES:
        raise Refused("too_large", "One edit may insert at most 256 KiB. Send it in several edits.")
    return updates


EDIT_UPDATES = Check(f"{_EDIT_UPDATES.words}; at most 256 KiB inserted in all", _edit_updates)


@dataclass(frozen=True, slots=True)
class EditRequest:
    """`edit`: change the text of a draft. `updates` follow `revision`."""

    draft: Annotated[str, checks.ID]
    revision: Annotated[int, checks.COUNT]
    client: Annotated[str, checks.CLIENT]
    updates: Annotated[list[EditUpdate], EDIT_UPDATES]


@dataclass(frozen=True, slots=True)
class HoldRequest:
    """`hold`: keep the model from writing for a moment. `composing` says whether an input method is in use."""

    draft: Annotated[str, checks.ID]
    composing: Annotated[bool, checks.FLAG]


@dataclass(frozen=True, slots=True)
class StartRequest:
    """`start`: let the model write at most `limit` tokens, or without end."""

    draft: Annotated[str, checks.ID]
    limit: Annotated[int | None, checks.COUNT_FROM_ONE] = None


@dataclass(frozen=True, slots=True)
class PauseRequest:
    """`pause`: end the run of the model."""

    draft: Annotated[str, checks.ID]


@dataclass(frozen=True, slots=True)
class ConfigureRequest:
    """`configure`: change the settings of a draft. A missing field stays as it is."""

    draft: Annotated[str, checks.ID]
    model: Annotated[str | None, checks.NAME] = None
    sampling: Annotated[dict[str, Any] | None, checks.SAMPLING] = None
    premise: Annotated[str | None, checks.TEXT] = None


@dataclass(frozen=True, slots=True)
class RewindRequest:
    """`rewind`: delete the text from `from` on, or the last text of the model."""

    draft: Annotated[str, checks.ID]
    revision: Annotated[int, checks.COUNT]
    from_: Annotated[int | None, checks.COUNT] = None


@dataclass(frozen=True, slots=True)
class RetryRequest:
    """`retry`: delete the last text of the model and let the model write again."""

    draft: Annotated[str, checks.ID]
    revision: Annotated[int, checks.COUNT]


@dataclass(frozen=True, slots=True)
class AlternativesRequest:
    """`alternatives`: return the likeliest tokens at the offset `at` of the text at `revision`."""

    draft: Annotated[str, checks.ID]
    revision: Annotated[int, checks.COUNT]
    at: Annotated[int, checks.COUNT]


@dataclass(frozen=True, slots=True)
class SeenRequest:
    """`seen`: the page shows everything up to `revision`."""

    draft: Annotated[str, checks.ID]
    revision: Annotated[int, checks.COUNT]


@dataclass(frozen=True, slots=True)
class CreateStoryRequest:
    """A new story. `models` has one model per draft; otherwise `drafts` drafts have the same `model`."""

    mode: Annotated[str, checks.MODE]
    prompt: Annotated[str, checks.BEGINNING]
    title: Annotated[str | None, checks.TITLE] = None
    model: Annotated[str | None, checks.NAME] = None
    models: Annotated[list[str] | None, checks.listed(checks.NAME, limits.STORY_DRAFTS)] = None
    drafts: Annotated[int | None, checks.whole(1, limits.STORY_DRAFTS)] = None
    sampling: Annotated[dict[str, Any] | None, checks.SAMPLING] = None

    def __post_init__(self) -> None:
        if self.models is not None and (self.model is not None or self.drafts not in (None, len(self.models))):
            raise invalid("The field models already names the model of each draft. Leave out model and drafts.")


@dataclass(frozen=True, slots=True)
class RenameStoryRequest:
    """A new title for a story."""

    title: Annotated[str, checks.TITLE]


@dataclass(frozen=True, slots=True)
class CreateDraftRequest:
    """A new draft of a story: the text of `parent` at `revision`, or the beginning of the story."""

    parent: Annotated[str | None, checks.ID] = None
    revision: Annotated[int | None, checks.COUNT] = None
    model: Annotated[str | None, checks.NAME] = None
    sampling: Annotated[dict[str, Any] | None, checks.SAMPLING] = None

    def __post_init__(self) -> None:
        if self.revision is not None and self.parent is None:
            raise invalid("The field revision needs the field parent. Add parent or leave out revision.")
