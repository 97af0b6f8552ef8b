"""ChangeSet: a change to a text of a given length, in CodeMirror's algebra and JSON form.

Owns the JSON, and applying, mapping and composing changes. Offsets and lengths are UTF-16 units; texts are in units
form (see utf16). Knows nothing of drafts, storage or authors.
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
    """The change is malformed or does not fit its text. The message is a sentence for the user."""


class Change(NamedTuple):
    """A changed range: `from_a` to `to_a` of the old text became `inserted`, at `from_b` to `to_b` of the new text."""

    from_a: int
    to_a: int
    from_b: int
    to_b: int
    inserted: str


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """A change to a text, as sections that cover all of it."""

    sections: tuple[Section, ...]

    @classmethod
    def identity(cls, length: int) -> ChangeSet:
        """The change that keeps all of a text of `length` units."""
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
            raise InvalidChange(f"The range {start} to {end} is outside a text of {length} units.")
        if start == end and not text:
            return cls.identity(length)
        sections: list[Section] = [(start, None), (end - start, text), (length - end, None)]
        return cls(tuple(section for section in sections if section[0] or section[1]))

    @classmethod
    def from_json(cls, value: object) -> ChangeSet:
        """Read CodeMirror's form, such as `[5, [1], 3, [0, "x", "y"]]`. Raises InvalidChange for anything else."""
        if not isinstance(value, list):
            raise InvalidChange("A change is a list of parts.")
        if len(value) > MAX_PARTS:
            raise InvalidChange(f"A change has at most {MAX_PARTS} parts.")
        changes = cls(tuple(_section(part) for part in value))
        if max(changes.length, changes.new_length) > MAX_LENGTH:
            raise InvalidChange("The change is for a text longer than any draft can be.")
        return changes

    def to_json(self) -> list[object]:
        """The inverse of `from_json`, equal to CodeMirror's own JSON."""
        return [_part(length, insert) for length, insert in self.sections]

    @property
    def length(self) -> int:
        """The length of the text before the change, in units."""
        return sum(length for length, _ in self.sections)

    @property
    def new_length(self) -> int:
        """The length of the text after the change, in units."""
        return sum(length if insert is None else len(insert) for length, insert in self.sections)

    @property
    def inserted(self) -> int:
        """The number of units this change inserts."""
        return sum(len(insert or "") for _, insert in self.sections)

    @property
    def is_empty(self) -> bool:
        """Whether the change keeps all of its text."""
        return all(insert is None for _, insert in self.sections)

    @property
    def touches_end(self) -> bool:
        """Whether a change lies at the very end of the old text."""
        return bool(self.sections) and self.sections[-1][1] is not None

    def apply(self, text: str) -> str:
        """Return the changed text. Raises InvalidChange if the length of `text` is not this change's."""
        _check_lengths(self.length, len(text))
        at, pieces = 0, []
        for length, insert in self.sections:
            pieces.append(text[at : at + length] if insert is None else insert)
            at += length
        return "".join(pieces)

    def map(self, other: ChangeSet, before: bool = False) -> ChangeSet:
        """Map this change, made for the same text as `other`, so that it applies after `other`.

        Of two insertions at one place, the one of this change comes first if `before` is true, and last otherwise.
        `a.compose(b.map(a))` and `b.compose(a.map(b, before=True))` lead to the same text.
        """
        _check_lengths(self.length, other.length)
        return self if other.is_empty else ChangeSet(map_sections(self.sections, other.sections, before))

    def compose(self, other: ChangeSet) -> ChangeSet:
        """Return one change that does this change and then `other`."""
        _check_lengths(self.new_length, other.length)
        if self.is_empty:
            return other
        return self if other.is_empty else ChangeSet(compose_sections(self.sections, other.sections))

    def map_pos(self, pos: int, assoc: int = -1) -> int:
        """Map offset `pos` of the old text to an offset of the new text.

        At an insertion, `assoc` < 0 stays before the inserted text and `assoc` > 0 moves behind it.
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
        """Yield the changed ranges in order, with adjacent ranges joined."""
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
        raise InvalidChange(f"The lengths differ: {expected} and {actual} units.")


def _section(part: object) -> Section:
    """Read one part of the JSON form as a section: `5`, `[1]` or `[0, "x", "y"]`."""
    length = part[0] if isinstance(part, list) and part else part
    if type(length) is not int or not 0 <= length <= MAX_LENGTH:
        raise InvalidChange("Each part of a change starts with a whole number from 0 on.")
    if not isinstance(part, list):
        if length == 0:
            raise InvalidChange("A part of a change must not keep 0 units.")
        return length, None
    insert = _inserted_text(part[1:])
    if not length and not insert:
        raise InvalidChange("A part of a change must delete or insert text.")
    return length, insert


def _inserted_text(lines: list[object]) -> str:
    """Join the lines of an insertion, in units form."""
    text = []
    for line in lines:
        if not isinstance(line, str) or "\n" in line:
            raise InvalidChange("Inserted text is a list of lines without line breaks.")
        text.append(to_units(line))
    insert = "\n".join(text)
    if not is_clean(insert):
        raise InvalidChange("Inserted text contains half a character, NUL or a carriage return.")
    return insert


def _part(length: int, insert: str | None) -> object:
    """The inverse of `_section`."""
    if insert is None:
        return length
    return [length, *insert.split("\n")] if insert else [length]
