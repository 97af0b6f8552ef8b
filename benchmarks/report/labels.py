"""Labels: the names that the record gives to measurements, as the page and its pictures show them."""

from __future__ import annotations

import re


def label(name: str) -> str:
    """Return `name` in readable English: the record says "1 drafts", and "64 tokens before" for a context."""
    name = re.sub(r"\b1 (draft|stream)s\b", r"1 \1", name)
    return re.sub(r"(\d+) tokens before\b", r"after \1 tokens", name)
