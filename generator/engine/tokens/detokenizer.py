"""Detokenizer: token bytes become text, one token at a time, without half characters.

Owns the incremental UTF-8 state of one sequence. Knows nothing of vocabularies or chunks.
"""

from __future__ import annotations

import codecs


class Detokenizer:
    """Bytes that never become a character turn into U+FFFD as soon as that is certain."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, written: bytes) -> str:
        """The complete characters that `written` adds."""
        return self._decoder.decode(written)

    def finish(self) -> str:
        """What is left when nothing follows: nothing, or U+FFFD for an unfinished character."""
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text

    @property
    def is_inside_character(self) -> bool:
        return bool(self._decoder.getstate()[0])
