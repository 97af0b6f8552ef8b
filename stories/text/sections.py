"""Sections: the algebra under `ChangeSet`, which joins, maps and composes lists of sections.

A section is `(length, insert)`: `length` units of the old text are kept if `insert` is None, and replaced by `insert`
otherwise. The order of simultaneous insertions, and the neighbours that are joined, are exactly CodeMirror's: from
the same changes, page and server must get the same text and the same JSON. Knows nothing of JSON or authors.
"""

from __future__ import annotations

from collections.abc import Sequence

Section = tuple[int, str | None]


class SectionBuilder:
    """Collects sections and joins a new section with the last one where CodeMirror does."""

    def __init__(self) -> None:
        self._sections: list[Section] = []

    def add(self, length: int, insert: str | None, join: bool = False) -> bool:
        """Append a section, or with `join` extend the replacement before it. Return whether the list became longer."""
        if not length and not insert:
            return False
        if self._sections:
            last_length, last_insert = self._sections[-1]
            alike = not insert and insert == last_insert
            if alike or join or not (length or last_length):
                text = None if insert is None else (last_insert or "") + insert
                self._sections[-1] = (last_length + length, text)
                return False
        self._sections.append((length, insert))
        return True

    def build(self) -> tuple[Section, ...]:
        return tuple(self._sections)


class _Cursor:
    """A position in a list of sections that advances by any number of units.

    A cursor counts units of the old text (`forward`) or of the new text (`forward_new`), never both. `offset` is the
    number of units passed in the current section, `length` the number of old units that remain in it.
    """

    def __init__(self, sections: Sequence[Section]) -> None:
        self._sections = sections
        self.index = -1
        self.next()

    def next(self) -> None:
        self.index += 1
        self.done = self.index >= len(self._sections)
        self.length, self.insert = (0, None) if self.done else self._sections[self.index]
        self.offset = 0

    @property
    def keeps(self) -> bool:
        """Whether the current section keeps its units."""
        return not self.done and self.insert is None

    @property
    def new_length(self) -> int:
        """The number of new units that remain in the current section."""
        return self.length if self.insert is None else len(self.insert) - self.offset

    def forward(self, length: int) -> None:
        if length == self.length:
            self.next()
        else:
            self.length -= length
            self.offset += length

    def forward_new(self, length: int) -> None:
        if self.insert is None:
            self.forward(length)
        elif length == self.new_length:
            self.next()
        else:
            self.offset += length


def map_sections(mapped: Sequence[Section], over: Sequence[Section], before: bool) -> tuple[Section, ...]:
    """Map `mapped`, made for the same text as `over`, so that it applies after `over`.

    Of two insertions at one place, the one of `mapped` comes first if `before` is true, and last otherwise. The old
    lengths must be equal.
    """
    result = SectionBuilder()
    a, b = _Cursor(mapped), _Cursor(over)
    placed = -1  # index of the last section of `a` whose insertion is in the result; `a` may still be inside it
    while not (a.done and b.done):
        if a.keeps and b.keeps:
            length = min(a.length, b.length)
            result.add(length, None)
            a.forward(length)
            b.forward(length)
        elif b.insert is not None and (a.insert is None or placed == a.index or _comes_first(b, a, before)):
            result.add(len(b.insert), None)
            placed = _pass_covered(result, a, b.length, placed)
            b.next()
        else:
            kept, remaining = _pass_until_change(b, a.length)
            result.add(kept, a.insert if placed < a.index else "")
            placed = a.index
            a.forward(a.length - remaining)
    return result.build()


def _comes_first(b: _Cursor, a: _Cursor, before: bool) -> bool:
    """Whether the change at `b` goes before the change at `a`; both start at the same place."""
    return a.offset == 0 and (b.length < a.length or (b.length == a.length and not before))


def _pass_covered(result: SectionBuilder, a: _Cursor, length: int, placed: int) -> int:
    """Pass `length` units that the other change replaced, and keep the insertions of `a` among them.

    Returns the new value of `placed`.
    """
    while length:
        piece = min(a.length, length)
        if a.insert is not None and placed < a.index and a.length <= piece:
            result.add(0, a.insert)
            placed = a.index
        a.forward(piece)
        length -= piece
    return placed


def _pass_until_change(b: _Cursor, length: int) -> tuple[int, int]:
    """Pass up to `length` units of `b`, deletions included. Stop at an insertion, or at a deletion that is longer.

    Returns the number of passed units that `b` keeps, and the number of units of `length` that were not passed.
    """
    kept, remaining = 0, length
    while remaining:
        if b.keeps:
            piece = min(remaining, b.length)
            kept += piece
            remaining -= piece
            b.forward(piece)
        elif b.insert == "" and b.length < remaining:
            remaining -= b.length
            b.next()
        else:
            break
    return kept, remaining


def compose_sections(first: Sequence[Section], second: Sequence[Section]) -> tuple[Section, ...]:
    """Compose `first` and then `second`. The new length of `first` must be the old length of `second`."""
    result = SectionBuilder()
    a, b = _Cursor(first), _Cursor(second)
    unfinished = False  # whether the next section continues the replacement at the end of the result
    while not (a.done and b.done):
        if a.insert == "":
            result.add(a.length, "", unfinished)
            a.next()
        elif b.length == 0 and not b.done:
            result.add(0, b.insert, unfinished)
            b.next()
        else:
            length = min(a.new_length, b.length)
            added = result.add(*_composed_piece(a, b, length), unfinished)
            a_continues = a.insert is not None and a.new_length > length
            b_continues = b.insert is not None and b.length > length
            unfinished = (a_continues or b_continues) and (unfinished or added)
            a.forward_new(length)
            b.forward(length)
    return result.build()


def _composed_piece(a: _Cursor, b: _Cursor, length: int) -> Section:
    """The section for the next `length` units of the text between the two changes."""
    if a.insert is None:
        return length, None if b.insert is None else ("" if b.offset else b.insert)
    replaced = 0 if a.offset else a.length
    if b.insert is not None:
        return replaced, "" if b.offset else b.insert
    return replaced, a.insert[a.offset : a.offset + length]
