"""JSON codec: dataclasses to JSON data and back, strictly by the annotations of their fields.

Owns the JSON form of each type that a field may have. A tuple of integers becomes one base64 string: as a JSON list,
the thousands of ids of a context would take more time than the edit that makes the context new. Knows no message by
name.
"""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, partial
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

Reader = Callable[[object], Any]
Writer = Callable[[Any], Any]


class MalformedMessage(ValueError):
    """The data from the other process is not a message."""


def to_json(value: Any) -> dict[str, Any]:
    """Return the dataclass as a dict, without the fields that have their default."""
    data = {}
    for name, (default, write) in _field_writers(value.__class__).items():
        if (part := getattr(value, name)) != default:
            data[name] = write(part) if write else part
    return data


@cache
def _field_writers(shape: type) -> dict[str, tuple[Any, Writer | None]]:
    """Return the default and the writer of each field. The writer is None if the value is JSON data already."""
    hints = get_type_hints(shape)
    return {field.name: (field.default, _writer(hints[field.name])) for field in fields(shape)}


def _writer(shape: Any) -> Writer | None:
    if is_dataclass(shape):
        return to_json
    parts = get_args(shape)
    if get_origin(shape) is tuple and parts[-1] is Ellipsis:
        return _write_numbers if parts[0] is int else partial(_write_list, _writer(parts[0]))
    if isinstance(shape, UnionType):
        return partial(_write_optional, _writer(_without_none(shape)))
    return None


def _write_numbers(numbers: tuple[int, ...]) -> str:
    """Return the numbers as base64, in the machine's own byte order, because both processes run on one machine."""
    return b64encode(array("i", numbers)).decode("ascii")


def _write_list(write: Writer | None, values: tuple[Any, ...]) -> Any:
    return [write(value) for value in values] if write else values


def _write_optional(write: Writer | None, value: Any) -> Any:
    return write(value) if write and value is not None else value


def from_json(shape: Any, value: object) -> Any:
    """Return the value of the annotated type `shape` that `value` is the JSON form of.

    `shape` is a dataclass, a tuple, a union with None or a plain type. Raise MalformedMessage if `value` does not fit.
    """
    return _reader(shape)(value)


@cache
def _reader(shape: Any) -> Reader:
    """Return the function that reads values of the type `shape`, cached, because looking up annotations is slow."""
    if is_dataclass(shape) and isinstance(shape, type):
        hints = get_type_hints(shape)
        return partial(_read_object, shape, {field.name: _reader(hints[field.name]) for field in fields(shape)})
    if get_origin(shape) is tuple:
        parts = get_args(shape)
        if parts[-1] is Ellipsis:
            return _read_numbers if parts[0] is int else partial(_read_list, _reader(parts[0]))
        return partial(_read_tuple, [_reader(part) for part in parts])
    if isinstance(shape, UnionType):
        return partial(_read_optional, _reader(_without_none(shape)))
    return partial(_read_plain, shape)


def _without_none(shape: UnionType) -> Any:
    """Return the type in a union with None that is not None."""
    return next(part for part in get_args(shape) if part is not type(None))


def _read_object(shape: Callable[..., Any], readers: dict[str, Reader], value: object) -> Any:
    if not isinstance(value, dict):
        raise MalformedMessage(f"{shape.__name__} is not an object.")
    if not value.keys() <= readers.keys():
        raise MalformedMessage(f"{shape.__name__} has unknown fields.")
    try:
        return shape(**{name: readers[name](part) for name, part in value.items()})
    except TypeError as error:
        raise MalformedMessage(f"{shape.__name__} lacks a field.") from error


def _read_numbers(value: object) -> tuple[int, ...]:
    numbers = array("i")
    try:
        numbers.frombytes(b64decode(_read_plain(str, value), validate=True))
    except ValueError as error:
        raise MalformedMessage("A column of numbers is not base64 of 4-byte integers.") from error
    return tuple(numbers)


def _read_list(read: Reader, value: object) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise MalformedMessage("The data has no list where a list is expected.")
    return tuple([read(part) for part in value])


def _read_tuple(readers: Sequence[Reader], value: object) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise MalformedMessage("The data has no list where a list is expected.")
    if len(readers) != len(value):
        raise MalformedMessage("A list has the wrong length.")
    return tuple([read(part) for read, part in zip(readers, value, strict=True)])


def _read_optional(read: Reader, value: object) -> Any:
    return None if value is None else read(value)


def _read_plain(shape: type, value: object) -> Any:
    if shape is float and type(value) is int:
        return float(value)
    if type(value) is not shape:
        # The message must not contain the value, which may be text of a story.
        raise MalformedMessage(f"A value is of type {type(value).__name__}, not {shape.__name__}.")
    return value
