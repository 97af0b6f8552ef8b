"""Text whose indices are JavaScript's: a `str` in which every astral character is a surrogate pair.

Owns the conversion in both directions and what makes such text acceptable in a draft. Knows nothing of
changes or drafts. `units` below always means text in this form; one item of the `str` is one UTF-16 unit.
"""

from __future__ import annotations

import re

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_UNCLEAN = re.compile(
    "[\0\r\U00010000-\U0010ffff]"
    "|[\ud800-\udbff](?![\udc00-\udfff])"  # a high surrogate without its low one
    "|(?<![\ud800-\udbff])[\udc00-\udfff]"  # and the reverse
)


def to_units(text: str) -> str:
    """`text` with astral characters as surrogate pairs. Text already in that form comes back unchanged."""
    if text.isascii():
        return text
    return _ASTRAL.sub(_pair, text)


def from_units(units: str) -> str:
    """The ordinary `str` that `units` stand for. Raises UnicodeDecodeError for a lone surrogate."""
    if units.isascii():
        return units
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def is_clean(units: str) -> bool:
    """Whether a draft may hold `units`: no lone surrogate, no NUL, no carriage return."""
    return _UNCLEAN.search(units) is None


def splits_pair(units: str, at: int) -> bool:
    """Whether offset `at` lies between the two halves of one character."""
    return 0 < at < len(units) and "\udc00" <= units[at] <= "\udfff" and "\ud800" <= units[at - 1] <= "\udbff"


def _pair(astral: re.Match[str]) -> str:
    high, low = divmod(ord(astral[0]) - 0x10000, 0x400)
    return chr(0xD800 + high) + chr(0xDC00 + low)
