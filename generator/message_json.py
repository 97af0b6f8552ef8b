"""Message JSON: dataclasses of plain fields as JSON data, and back, strictly by their annotations.

Knows no message by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, partial
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

Reader = Callable[[object], Any]


class MalformedMessage(ValueError):
    """The other process sent something that is not a message."""


def to_json(value: Any) -> dict[str, Any]:
    """The dataclass as a dict, without fields that have their default. A context has thousands of ids and hundreds of
    pieces and is sent at every keystroke: no id is copied."""
    data = {}
    for name, default in _defaults(value.__class__).items():
        if (part := getattr(value, name)) != default:
            data[name] = _data(part)
    return data


def _data(value: Any) -> Any:
    if isinstance(value, tuple):
        return [to_json(item) for item in value] if value and _defaults(value[0].__class__) else value
    return to_json(value) if _defaults(value.__class__) else value


@cache
def _defaults(shape: type) -> dict[str, Any]:
    """The fields of a dataclass by name; of another type none."""
    return {field.name: field.default for field in fields(shape)} if is_dataclass(shape) else {}


def from_json(shape: Any, value: object) -> Any:
    """`value` as the annotated type `shape`: dataclasses, tuples, unions with None and plain values."""
    return _reader(shape)(value)


@cache
def _reader(shape: Any) -> Reader:
    """What reads values as `shape`. Found once for each: contexts have hundreds of parts, and annotations are slow."""
    if is_dataclass(shape) and isinstance(shape, type):
        hints = get_type_hints(shape)
        return partial(_read_object, shape, {name: _reader(hints[name]) for name in _defaults(shape)})
    if get_origin(shape) is tuple:
        parts = get_args(shape)
        if parts[-1] is Ellipsis:
            return partial(_read_numbers if parts[0] is int else _read_list, _reader(parts[0]))
        return partial(_read_tuple, [_reader(part) for part in parts])
    if isinstance(shape, UnionType):
        return partial(_read_optional, _reader(next(part for part in get_args(shape) if part is not type(None))))
    return partial(_read_plain, shape)


def _read_object(shape: Callable[..., Any], readers: dict[str, Reader], value: object) -> Any:
    if not isinstance(value, dict):
        raise MalformedMessage(f"{shape.__name__} is not an object")
    if not value.keys() <= readers.keys():
        raise MalformedMessage(f"{shape.__name__} has unknown fields")
    try:
        return shape(**{name: readers[name](part) for name, part in value.items()})
    except TypeError as error:
        raise MalformedMessage(str(error)) from error


def _read_numbers(read: Reader, value: object) -> tuple[int, ...]:
    if isinstance(value, list | tuple) and set(map(type, value)) <= {int}:
        return tuple(value)
    return _read_list(read, value)


def _read_list(read: Reader, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise MalformedMessage("expected a list")
    return tuple([read(part) for part in value])


def _read_tuple(readers: Sequence[Reader], value: object) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise MalformedMessage("expected a list")
    if len(readers) != len(value):
        raise MalformedMessage("a list of the wrong length")
    return tuple([read(part) for read, part in zip(readers, value, strict=True)])


def _read_optional(read: Reader, value: object) -> Any:
    return None if value is None else read(value)


def _read_plain(shape: type, value: object) -> Any:
    if shape is float and type(value) is int:
        return float(value)
    if type(value) is not shape:
        raise MalformedMessage(f"a {type(value).__name__} is not {shape}")  # the value may be story text
    return value
