"""Message JSON: dataclasses of plain fields as JSON data, and back, strictly by their annotations.

Knows no message by name.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints


class MalformedMessage(ValueError):
    """The other process sent something that is not a message."""


def to_json(value: Any) -> dict[str, Any]:
    """The dataclass as a dict. A context has thousands of ids and is sent at every keystroke: none is copied."""
    return {name: _data(getattr(value, name)) for name in _names(value.__class__)}


def _data(value: Any) -> Any:
    if isinstance(value, tuple):
        return [to_json(item) for item in value] if value and _names(value[0].__class__) else value
    return to_json(value) if _names(value.__class__) else value


@cache
def _names(shape: type) -> tuple[str, ...]:
    """The fields of a dataclass; of another type none."""
    return tuple(field.name for field in fields(shape)) if is_dataclass(shape) else ()


def from_json(shape: Any, value: object, skip: str = "") -> Any:
    """`value` as the annotated type `shape`: dataclasses, tuples, unions with None and plain values."""
    if is_dataclass(shape) and isinstance(shape, type):
        if not isinstance(value, dict):
            raise MalformedMessage(f"{shape.__name__} is not an object")
        hints = _hints(shape)
        given = {name: part for name, part in value.items() if name != skip}
        if not given.keys() <= hints.keys():
            raise MalformedMessage(f"{shape.__name__} has unknown fields")
        try:
            return shape(**{name: from_json(hints[name], part) for name, part in given.items()})
        except TypeError as error:
            raise MalformedMessage(str(error)) from error
    if get_origin(shape) is tuple:
        return _build_tuple(get_args(shape), value)
    if isinstance(shape, UnionType):
        if value is None and type(None) in get_args(shape):
            return None
        return from_json(next(part for part in get_args(shape) if part is not type(None)), value)
    if shape is float and type(value) is int:
        return float(value)
    if type(value) is not shape:
        raise MalformedMessage(f"a {type(value).__name__} is not {shape}")  # the value may be story text
    return value


def _build_tuple(parts: tuple[Any, ...], value: object) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise MalformedMessage("expected a list")
    if parts == (int, ...) and all(type(part) is int for part in value):
        return tuple(value)
    if parts[-1] is Ellipsis:
        return tuple(from_json(parts[0], part) for part in value)
    if len(parts) != len(value):
        raise MalformedMessage("a list of the wrong length")
    return tuple(from_json(part, item) for part, item in zip(parts, value, strict=True))


@cache
def _hints(shape: type) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(shape).items() if name != "kind"}
