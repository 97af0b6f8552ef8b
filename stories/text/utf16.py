"""Units form: text as a `str` whose indices are JavaScript's, with every astral character as a surrogate pair.

Owns the conversion in both directions, and the rule for text that a draft may hold. Knows nothing of changes or
drafts. `units` always means text in this form: one item of the `str` is one UTF-16 code unit.
"""

from __future__ import annotations

import re

_ASTRAL = re.compile("[\U00010000-\U0010ffff]")
_UNCLEAN = re.compile(
    "[\0\r\U00010000-\U0010ffff]"
    "|[\ud800-\udbff](?![\udc00-\udfff])"  # a high surrogate without a low one behind it
    "|(?<![\ud800-\udbff])[\udc00-\udfff]"  # a low surrogate without a high one before it
)


def to_units(text: str) -> str:
    """Convert `text` to units form. Text in units form is returned unchanged."""
    if text.isascii():
        return text
    return _ASTRAL.sub(_pair, text)


def from_units(units: str) -> str:
    """Convert `units` to an ordinary `str`. Raises UnicodeDecodeError for a lone surrogate."""
    if units.isascii():
        return units
    return units.encode("utf-16-le", "surrogatepass").decode("utf-16-le")


def is_clean(units: str) -> bool:
    """Whether a draft may hold `units`: no lone surrogate, NUL, carriage return or astral character."""
    return _UNCLEAN.search(units) is None


def splits_pair(units: str, at: int) -> bool:
    """Whether offset `at` lies between the two halves of a surrogate pair."""
    return 0 < at < len(units) and "\udc00" <= units[at] <= "\udfff" and "\ud800" <= units[at - 1] <= "\udbff"


def _pair(astral: re.Match[str]) -> str:
    """The surrogate pair of the astral character that was matched."""
    high, low = divmod(ord(astral[0]) - 0x10000, 0x400)
    return chr(0xD800 + high) + chr(0xDC00 + low)
