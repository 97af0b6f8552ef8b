"""UTF-16: the length of a text and its parts, counted as the wire counts them.

Owns the conversion between Python strings and UTF-16 offsets. Knows nothing of tokens.
"""

from __future__ import annotations


def units(text: str) -> int:
    """Return the length of `text` in UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


class Utf16Text:
    """A text that is encoded once and then cut many times."""

    def __init__(self, text: str) -> None:
        self._encoded = text.encode("utf-16-le", "surrogatepass")

    def cut(self, start: int, end: int, errors: str = "surrogatepass") -> str:
        """Return the units from `start` to `end`.

        A surrogate without its other half stays in the text. With `errors="replace"` it becomes U+FFFD instead.
        """
        return self._encoded[2 * start : 2 * end].decode("utf-16-le", errors)
