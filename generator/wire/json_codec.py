"""Message JSON: dataclasses of plain fields as JSON data, and back, strictly by their annotations.

Numbers in a row travel as one word: as a list, a context's thousands of ids would take more time than the edit that
makes it new. Knows no message by name.
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
    """The other process sent something that is not a message."""


def to_json(value: Any) -> dict[str, Any]:
    """The dataclass as a dict, without fields that have their default."""
    data = {}
    for name, (default, write) in _fields(value.__class__).items():
        if (part := getattr(value, name)) != default:
            data[name] = write(part) if write else part
    return data


@cache
def _fields(shape: type) -> dict[str, tuple[Any, Writer | None]]:
    """Each field's default, and what writes it if it is not JSON data already."""
    hints = get_type_hints(shape)
    return {field.name: (field.default, _writer(hints[field.name])) for field in fields(shape)}


def _writer(shape: Any) -> Writer | None:
    if is_dataclass(shape):
        return to_json
    parts = get_args(shape)
    if get_origin(shape) is tuple and parts[-1] is Ellipsis:
        return _word if parts[0] is int else partial(_written, _writer(parts[0]))
    if isinstance(shape, UnionType):
        return partial(_written_if_any, _writer(_present(shape)))
    return None


def _word(numbers: tuple[int, ...]) -> str:
    """Four bytes for each, as this machine has them, on which both processes run."""
    return b64encode(array("i", numbers)).decode("ascii")


def _written(write: Writer | None, values: tuple[Any, ...]) -> Any:
    return [write(value) for value in values] if write else values


def _written_if_any(write: Writer | None, value: Any) -> Any:
    return write(value) if write and value is not None else value


def from_json(shape: Any, value: object) -> Any:
    """`value` as the annotated type `shape`: dataclasses, tuples, unions with None and plain values."""
    return _reader(shape)(value)


@cache
def _reader(shape: Any) -> Reader:
    """What reads values as `shape`. Found once for each: annotations are slow."""
    if is_dataclass(shape) and isinstance(shape, type):
        hints = get_type_hints(shape)
        return partial(_read_object, shape, {field.name: _reader(hints[field.name]) for field in fields(shape)})
    if get_origin(shape) is tuple:
        parts = get_args(shape)
        if parts[-1] is Ellipsis:
            return _read_word if parts[0] is int else partial(_read_list, _reader(parts[0]))
        return partial(_read_tuple, [_reader(part) for part in parts])
    if isinstance(shape, UnionType):
        return partial(_read_optional, _reader(_present(shape)))
    return partial(_read_plain, shape)


def _present(shape: UnionType) -> Any:
    """What it is, if it is not None."""
    return next(part for part in get_args(shape) if part is not type(None))


def _read_object(shape: Callable[..., Any], readers: dict[str, Reader], value: object) -> Any:
    if not isinstance(value, dict):
        raise MalformedMessage(f"{shape.__name__} is not an object")
    if not value.keys() <= readers.keys():
        raise MalformedMessage(f"{shape.__name__} has unknown fields")
    try:
        return shape(**{name: readers[name](part) for name, part in value.items()})
    except TypeError as error:
        raise MalformedMessage(str(error)) from error


def _read_word(value: object) -> tuple[int, ...]:
    numbers = array("i")
    try:
        numbers.frombytes(b64decode(_read_plain(str, value), validate=True))
    except ValueError as error:
        raise MalformedMessage("expected numbers in one word") from error
    return tuple(numbers)


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
