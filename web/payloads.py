"""What each event and each REST request may carry: one class per payload, checked strictly.

Owns names, types and sizes of the fields. Knows nothing of what is done with them. `parse` is the only way
in: it returns the payload or raises `Refused`, whatever it is given.
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
    """A field as it is outside: its name there, its name here, what checks it, whether it may be left out.
    Null is not leaving it out."""

    name: str
    attribute: str
    check: Check
    optional: bool


def parse(shape: type[Payload], data: object, name: str = "the payload") -> Payload:
    """`data` as `shape`. Raises Refused for wrong types, missing and unknown fields alike."""
    given = checks.object_of(data, name)
    known = fields_of(shape)  # type: ignore[arg-type]  # mypy looks at __hash__ of the instances
    for unknown in given.keys() - known.keys():
        raise invalid(f"{name} has a field that is not known here: {str(unknown)[:40]!a}.")
    for field in known.values():
        if not field.optional and field.name not in given:
            raise invalid(f"{field.name} is missing.")
    return shape(**{known[key].attribute: known[key].check.parse(value, key) for key, value in given.items()})


@cache
def fields_of(shape: type) -> Mapping[str, WireField]:
    """A payload's fields by their names outside; `from_` is `from` there, which Python reserves."""
    hints = get_type_hints(shape, include_extras=True)
    found = (
        WireField(f.name.rstrip("_"), f.name, get_args(hints[f.name])[1], f.default is not MISSING)
        for f in fields(shape)
    )
    return {field.name: field for field in found}


def given(payload: object) -> dict[str, Any]:
    """The fields of a payload that are not None, by their names outside."""
    named = ((field.name, getattr(payload, field.attribute)) for field in fields_of(type(payload)).values())  # type: ignore[arg-type]
    return {key: value for key, value in named if value is not None}


@dataclass(frozen=True, slots=True)
class Auth:
    protocol: Annotated[int, checks.COUNT]


@dataclass(frozen=True, slots=True)
class OpenRequest:
    draft: Annotated[str, checks.ID]
    revision: Annotated[int | None, checks.COUNT] = None


@dataclass(frozen=True, slots=True)
class CloseRequest:
    draft: Annotated[str, checks.ID]


@dataclass(frozen=True, slots=True)
class EditUpdate:
    changes: Annotated[ChangeSet, checks.CHANGES]
    authors: Annotated[tuple[tuple[int, str], ...], checks.AUTHORS] = ()


def _edit_update(value: object, name: str) -> EditUpdate:
    return parse(EditUpdate, value, name)


EDIT_UPDATE = Check("{changes, authors?}", _edit_update)
_EDIT_UPDATES = checks.listed(EDIT_UPDATE, limits.EDIT_UPDATES)


def _edit_updates(value: object, name: str) -> list[EditUpdate]:
    updates: list[EditUpdate] = _EDIT_UPDATES.parse(value, name)
    if sum(len(update.changes.sections) for update in updates) > limits.CHANGE_SECTIONS:
        raise Refused("too_large", "One edit changes too many places; send it in parts.")
    inserted = (change.inserted for update in updates for change in update.changes.iter_changes())
    if sum(len(from_units(text).encode()) for text in inserted) > limits.TEXT_BYTES:
        raise Refused("too_large", "One edit inserts at most 256 KiB; send a larger paste in parts.")
    return updates


EDIT_UPDATES = Check(f"{_EDIT_UPDATES.words}; at most 256 KiB inserted in all", _edit_updates)


@dataclass(frozen=True, slots=True)
class EditRequest:
    draft: Annotated[str, checks.ID]
    revision: Annotated[int, checks.COUNT]
    client: Annotated[str, checks.CLIENT]
    updates: Annotated[list[EditUpdate], EDIT_UPDATES]


@dataclass(frozen=True, slots=True)
class HoldRequest:
    draft: Annotated[str, checks.ID]
    composing: Annotated[bool, checks.FLAG]


@dataclass(frozen=True, slots=True)
class StartRequest:
    draft: Annotated[str, checks.ID]
    limit: Annotated[int | None, checks.COUNT_FROM_ONE] = None


@dataclass(frozen=True, slots=True)
class PauseRequest:
    draft: Annotated[str, checks.ID]


@dataclass(frozen=True, slots=True)
class ConfigureRequest:
    draft: Annotated[str, checks.ID]
    model: Annotated[str | None, checks.NAME] = None
    sampling: Annotated[dict[str, Any] | None, checks.SAMPLING] = None
    premise: Annotated[str | None, checks.TEXT] = None


@dataclass(frozen=True, slots=True)
class RewindRequest:
    draft: Annotated[str, checks.ID]
    revision: Annotated[int, checks.COUNT]
    from_: Annotated[int | None, checks.COUNT] = None


@dataclass(frozen=True, slots=True)
class RetryRequest:
    draft: Annotated[str, checks.ID]
    revision: Annotated[int, checks.COUNT]


@dataclass(frozen=True, slots=True)
class AlternativesRequest:
    draft: Annotated[str, checks.ID]
    revision: Annotated[int, checks.COUNT]
    at: Annotated[int, checks.COUNT]


@dataclass(frozen=True, slots=True)
class SeenRequest:
    draft: Annotated[str, checks.ID]
    revision: Annotated[int, checks.COUNT]


@dataclass(frozen=True, slots=True)
class CreateStoryRequest:
    mode: Annotated[str, checks.MODE]
    prompt: Annotated[str, checks.BEGINNING]
    title: Annotated[str | None, checks.TITLE] = None
    model: Annotated[str | None, checks.NAME] = None
    models: Annotated[list[str] | None, checks.listed(checks.NAME, limits.STORY_DRAFTS)] = None
    drafts: Annotated[int | None, checks.whole(1, limits.STORY_DRAFTS)] = None
    sampling: Annotated[dict[str, Any] | None, checks.SAMPLING] = None

    def __post_init__(self) -> None:
        if self.models is not None and (self.model is not None or self.drafts not in (None, len(self.models))):
            raise invalid("models already says which drafts to make; leave out model and drafts.")


@dataclass(frozen=True, slots=True)
class RenameStoryRequest:
    title: Annotated[str, checks.TITLE]


@dataclass(frozen=True, slots=True)
class CreateDraftRequest:
    parent: Annotated[str | None, checks.ID] = None
    revision: Annotated[int | None, checks.COUNT] = None
    model: Annotated[str | None, checks.NAME] = None
    sampling: Annotated[dict[str, Any] | None, checks.SAMPLING] = None

    def __post_init__(self) -> None:
        if self.revision is not None and self.parent is None:
            raise invalid("revision is that of a parent, which is missing.")
