"""Detokenizer: turns token bytes into text, one token at a time, without partial characters.

Owns the incremental UTF-8 state of one sequence. Knows nothing of vocabularies or chunks.
"""

from __future__ import annotations

import codecs


class Detokenizer:
    """An incremental UTF-8 decoder. Invalid bytes turn into U+FFFD as soon as they are certain to be invalid."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, written: bytes) -> str:
        """Return the characters that `written` completes."""
        return self._decoder.decode(written)

    def finish(self) -> str:
        """End the text and reset. Return U+FFFD for an unfinished character, otherwise an empty string."""
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text

    @property
    def is_inside_character(self) -> bool:
        """Whether the last character is unfinished."""
        return bool(self._decoder.getstate()[0])
