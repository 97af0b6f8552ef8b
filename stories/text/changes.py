"""ChangeSet: a change to a text of a certain length, in CodeMirror's algebra and JSON form.

Owns reading and writing the JSON, applying, mapping, composing and rebasing. Offsets and lengths are UTF-16
units; texts are in units form (see utf16). Knows nothing of drafts, storage or who may change what.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from stories.text.sections import Section, compose_sections, map_sections
from stories.text.utf16 import is_clean, to_units

MAX_PARTS = 100_000
MAX_LENGTH = 2**31 - 1


class InvalidChange(ValueError):
    """A change is malformed or does not fit its text; the message is a sentence for the user."""


class Change(NamedTuple):
    """One changed range: `from_a` to `to_a` of the old text became `from_b` to `to_b` of the new, `inserted`."""

    from_a: int
    to_a: int
    from_b: int
    to_b: int
    inserted: str


@dataclass(frozen=True, slots=True)
class ChangeSet:
    sections: tuple[Section, ...]

    @classmethod
    def identity(cls, length: int) -> ChangeSet:
        return cls(((length, None),) if length else ())

    @classmethod
    def insert(cls, length: int, at: int, text: str) -> ChangeSet:
        """Insert `text` at offset `at` of a text of `length` units."""
        return cls._replace(length, at, at, text)

    @classmethod
    def delete(cls, length: int, start: int, end: int) -> ChangeSet:
        """Delete the units from `start` to `end` of a text of `length` units."""
        return cls._replace(length, start, end, "")

    @classmethod
    def _replace(cls, length: int, start: int, end: int, text: str) -> ChangeSet:
        if not 0 <= start <= end <= length:
            raise InvalidChange(f"The range {start} to {end} does not lie in a text of {length} units.")
        if start == end and not text:
            return cls.identity(length)
        sections: list[Section] = [(start, None), (end - start, text), (length - end, None)]
        return cls(tuple(section for section in sections if section[0] or section[1]))

    @classmethod
    def from_json(cls, value: object) -> ChangeSet:
        """Read CodeMirror's form: `[5, [1], 3, [0, "x", "y"]]`. Raises InvalidChange for anything else."""
        if not isinstance(value, list):
            raise InvalidChange("A change is a list of parts.")
        if len(value) > MAX_PARTS:
            raise InvalidChange(f"A change has at most {MAX_PARTS} parts.")
        changes = cls(tuple(_section(part) for part in value))
        if max(changes.length, changes.new_length) > MAX_LENGTH:
            raise InvalidChange("The change is for a text longer than any draft can be.")
        return changes

    def to_json(self) -> list[object]:
        """The inverse of `from_json`, equal to what CodeMirror writes."""
        return [_part(length, insert) for length, insert in self.sections]

    @property
    def length(self) -> int:
        """Units of the text this applies to."""
        return sum(length for length, _ in self.sections)

    @property
    def new_length(self) -> int:
        """Units of the text this leads to."""
        return sum(length if insert is None else len(insert) for length, insert in self.sections)

    @property
    def inserted(self) -> int:
        """How many units this inserts."""
        return sum(len(insert or "") for _, insert in self.sections)

    @property
    def is_empty(self) -> bool:
        """Whether this changes nothing."""
        return all(insert is None for _, insert in self.sections)

    @property
    def touches_end(self) -> bool:
        """Whether something changes at the very end of the old text."""
        return bool(self.sections) and self.sections[-1][1] is not None

    def apply(self, text: str) -> str:
        """The changed text. Raises InvalidChange if `text` is not of this change's length."""
        _check_lengths(self.length, len(text))
        at, pieces = 0, []
        for length, insert in self.sections:
            pieces.append(text[at : at + length] if insert is None else insert)
            at += length
        return "".join(pieces)

    def map(self, other: ChangeSet, before: bool = False) -> ChangeSet:
        """This change, made for the same text as `other`, so that it applies after `other`.

        Of two insertions at one place, that of this change comes first if `before`, else last:
        `a.compose(b.map(a))` and `b.compose(a.map(b, before=True))` lead to the same text.
        """
        _check_lengths(self.length, other.length)
        return self if other.is_empty else ChangeSet(map_sections(self.sections, other.sections, before))

    def compose(self, other: ChangeSet) -> ChangeSet:
        """This change followed by `other`, as one."""
        _check_lengths(self.new_length, other.length)
        if self.is_empty:
            return other
        return self if other.is_empty else ChangeSet(compose_sections(self.sections, other.sections))

    def map_pos(self, pos: int, assoc: int = -1) -> int:
        """Where offset `pos` of the old text is in the new one.

        Where text was inserted, `assoc` < 0 stays before it and `assoc` > 0 goes behind it.
        """
        old, new = 0, 0
        for length, insert in self.sections:
            end = old + length
            if insert is None:
                if end > pos:
                    return new + pos - old
                new += length
            else:
                if end > pos or (end == pos and assoc < 0 and not length):
                    return new if pos == old or assoc < 0 else new + len(insert)
                new += len(insert)
            old = end
        if pos > old:
            raise InvalidChange(f"Offset {pos} is beyond the end of a text of {old} units.")
        return new

    def iter_changes(self) -> Iterator[Change]:
        """The changed ranges in order, adjacent ones as one."""
        old, new = 0, 0
        pending: Change | None = None
        for length, insert in self.sections:
            if insert is None:
                if pending is not None:
                    yield pending
                pending = None
                new += length
            else:
                from_a, from_b, text = (pending.from_a, pending.from_b, pending.inserted) if pending else (old, new, "")
                new += len(insert)
                pending = Change(from_a, old + length, from_b, new, text + insert)
            old += length
        if pending is not None:
            yield pending


def _check_lengths(expected: int, actual: int) -> None:
    if expected != actual:
        raise InvalidChange(f"The lengths do not agree: {expected} and {actual} units.")


def _section(part: object) -> Section:
    """One part of the JSON form, `5`, `[1]` or `[0, "x", "y"]`, as a section."""
    length = part[0] if isinstance(part, list) and part else part
    if type(length) is not int or not 0 <= length <= MAX_LENGTH:
        raise InvalidChange("Each part of a change starts with a whole number that is not negative.")
    if not isinstance(part, list):
        if length == 0:
            raise InvalidChange("A part of a change that keeps nothing is not allowed.")
        return length, None
    insert = _joined(part[1:])
    if not length and not insert:
        raise InvalidChange("A part of a change that does nothing is not allowed.")
    return length, insert


def _joined(lines: list[object]) -> str:
    text = []
    for line in lines:
        if not isinstance(line, str) or "\n" in line:
            raise InvalidChange("Inserted text is given as lines, without their line breaks.")
        text.append(to_units(line))
    insert = "\n".join(text)
    if not is_clean(insert):
        raise InvalidChange("Inserted text holds half a character, NUL or a carriage return.")
    return insert


def _part(length: int, insert: str | None) -> object:
    if insert is None:
        return length
    return [length, *insert.split("\n")] if insert else [length]
