"""The algebra under `ChangeSet`: how lists of sections are joined, mapped over each other and composed.

A section is `(length, insert)`: `length` units of the old text that are kept where `insert` is None, and
replaced by `insert` otherwise. The order in which simultaneous insertions end up, and which neighbours are
joined, are CodeMirror's to the letter: page and server must get the same text, and the same JSON, from the
same changes. Knows nothing of JSON or of who made a change.
"""

from __future__ import annotations

from collections.abc import Sequence

Section = tuple[int, str | None]


class SectionBuilder:
    """Collects sections, joining a new one with the last where CodeMirror would."""

    def __init__(self) -> None:
        self._sections: list[Section] = []

    def add(self, length: int, insert: str | None, join: bool = False) -> bool:
        """Append a section; `join` makes it part of the replacement before it. Whether there is one more now."""
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
    """What is left of the section under it, while a list of sections is worked off in pieces.

    One cursor passes units either of the old text (`forward`) or of the new one (`forward_new`), never
    both; `offset` counts what of the section was passed. `length` is what is left of the old text.
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
        return not self.done and self.insert is None

    @property
    def new_length(self) -> int:
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
    """`mapped`, made for the same text as `over`, so that it applies after `over`.

    Of two insertions at one place, that of `mapped` comes first if `before`, else last. The old lengths
    must be equal.
    """
    result = SectionBuilder()
    a, b = _Cursor(mapped), _Cursor(over)
    placed = -1  # the section of `a`, perhaps not yet passed, whose insertion is in the result already
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
            kept, left = _pass_until_change(b, a.length)
            result.add(kept, a.insert if placed < a.index else "")
            placed = a.index
            a.forward(a.length - left)
    return result.build()


def _comes_first(b: _Cursor, a: _Cursor, before: bool) -> bool:
    """Whether the change at `b` goes before the one at `a`, which starts at the same place."""
    return a.offset == 0 and (b.length < a.length or (b.length == a.length and not before))


def _pass_covered(result: SectionBuilder, a: _Cursor, length: int, placed: int) -> int:
    """Pass `length` units that the other change replaced; what `a` inserts among them stays. Returns `placed`."""
    while length:
        piece = min(a.length, length)
        if a.insert is not None and placed < a.index and a.length <= piece:
            result.add(0, a.insert)
            placed = a.index
        a.forward(piece)
        length -= piece
    return placed


def _pass_until_change(b: _Cursor, length: int) -> tuple[int, int]:
    """Pass up to `length` units, deletions included, up to an insertion or a deletion that reaches further.

    Returns how many of them `b` keeps, and how many of `length` are left.
    """
    kept, left = 0, length
    while left:
        if b.keeps:
            piece = min(left, b.length)
            kept += piece
            left -= piece
            b.forward(piece)
        elif b.insert == "" and b.length < left:
            left -= b.length
            b.next()
        else:
            break
    return kept, left


def compose_sections(first: Sequence[Section], second: Sequence[Section]) -> tuple[Section, ...]:
    """`first` and then `second` as one. The new length of `first` must be the old length of `second`."""
    result = SectionBuilder()
    a, b = _Cursor(first), _Cursor(second)
    open_ = False  # whether the last section of the result is a replacement that goes on
    while not (a.done and b.done):
        if a.insert == "":
            result.add(a.length, "", open_)
            a.next()
        elif b.length == 0 and not b.done:
            result.add(0, b.insert, open_)
            b.next()
        else:
            length = min(a.new_length, b.length)
            added = result.add(*_composed_piece(a, b, length), open_)
            unfinished = (a.insert is not None and a.new_length > length) or (
                b.insert is not None and b.length > length
            )
            open_ = unfinished and (open_ or added)
            a.forward_new(length)
            b.forward(length)
    return result.build()


def _composed_piece(a: _Cursor, b: _Cursor, length: int) -> Section:
    """What becomes of the next `length` units of the text between the two changes."""
    if a.insert is None:
        return length, None if b.insert is None else ("" if b.offset else b.insert)
    replaced = 0 if a.offset else a.length
    if b.insert is not None:
        return replaced, "" if b.offset else b.insert
    return replaced, a.insert[a.offset : a.offset + length]
