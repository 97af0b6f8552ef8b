"""Strategies: texts, changes, tokens and updates for Hypothesis, shared by the tests of stories.

Knows nothing of the code under test, except how to build its values.
"""

from __future__ import annotations

from hypothesis import strategies as st

from stories.text.changes import ChangeSet
from stories.text.update import USER, Token, Update
from stories.text.utf16 import splits_pair, to_units

ALPHABET = "ab \né中\u2028😀🤦"
AUTHORS = (USER, "model:one", "model:two")


def texts(max_size: int = 12) -> st.SearchStrategy[str]:
    """Texts in units form."""
    return st.text(ALPHABET, max_size=max_size).map(to_units)


@st.composite
def changes_to(draw: st.DrawFn, text: str) -> ChangeSet:
    """A change to `text` that splits no surrogate pair."""
    offsets = [at for at in range(len(text) + 1) if not splits_pair(text, at)]
    changes, done = ChangeSet.identity(len(text)), 0
    for _ in range(draw(st.integers(0, 3))):
        later = [at for at in offsets if at >= done]
        start, end = sorted((draw(st.sampled_from(later)), draw(st.sampled_from(later))))
        shift = changes.new_length - len(text)
        changes = changes.compose(ChangeSet.delete(changes.new_length, start + shift, end + shift))
        changes = changes.compose(ChangeSet.insert(changes.new_length, start + shift, draw(texts(4))))
        done = end
    return changes


@st.composite
def tokens_of(draw: st.DrawFn, length: int) -> tuple[Token, ...]:
    """Tokens whose lengths add up to `length`, some with zero-length tokens before them."""
    tokens: list[Token] = []
    while length:
        size = draw(st.integers(1, min(4, length)))
        lengths = [0] * draw(st.integers(0, 2) if size > 1 else st.just(0)) + [size]
        tokens += [Token(draw(st.integers(0, 99)), each, draw(st.floats(-9, 0))) for each in lengths]
        length -= size
    return tuple(tokens)


@st.composite
def updates_to(draw: st.DrawFn, text: str) -> Update:
    """An update to `text` by a user or a model. A user's update may restore the authors of its text, as undo does."""
    author = draw(st.sampled_from(AUTHORS))
    if author != USER and draw(st.booleans()):
        insert = draw(texts(20))
        changes = ChangeSet.insert(len(text), len(text), insert)
        return Update("model", author, changes, draw(tokens_of(len(insert))), draw(st.sampled_from(("v", ""))))
    changes = draw(changes_to(text))
    total = sum(len(insert or "") for _, insert in changes.sections)
    authors: tuple[tuple[int, str], ...] = ()
    if total and draw(st.booleans()):
        cut = draw(st.integers(0, total))
        names = draw(st.tuples(st.sampled_from(AUTHORS), st.sampled_from(AUTHORS)))
        authors = tuple((length, name) for length, name in zip((cut, total - cut), names, strict=True) if length)
    return Update("someone", author, changes, authors=authors)
