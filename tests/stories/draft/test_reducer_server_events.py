"""What the server itself tells a draft: the context it sent, and a store that failed."""

from __future__ import annotations

from stories.draft.events import ContextSent, Hold, StoreFailed, Viewed, WindowMoved
from stories.draft.reducer import reduce
from tests.stories.writers import Authority, Page


def writing(text: str) -> Authority:
    authority = Authority(text)
    authority.take(Viewed("page", 0, authority.now))
    authority.start()
    return authority


def test_a_context_that_was_sent_is_where_the_window_is_counted_from() -> None:
    authority = writing("x" * 100)
    authority.take(ContextSent(40))
    authority.take(WindowMoved(authority.state.epoch, 7))
    assert (authority.state.sent_base, authority.state.base) == (40, 47)


def test_a_store_that_fails_takes_back_everything_but_who_is_here() -> None:
    authority = writing("abc")
    durable = authority.state
    authority.take(Viewed("another", 0, authority.now))
    authority.take(Hold("another", True, authority.now))
    page = Page(authority, "one")
    page.type(0)
    page.settle()
    authority.log.clear()
    after = reduce(authority.state, StoreFailed(durable, "Not saved: The disk is full.")).state
    assert (after.text, after.revision, after.run) == ("abc", durable.revision, None)
    assert (after.outcome, after.reason, after.granted) == ("failed", "Not saved: The disk is full.", 0)
    assert after.viewers == {"page", "another"}
    assert set(after.leases) == {"another"}


def test_a_window_beyond_the_text_keeps_typing_possible() -> None:
    """A model that never finishes a character moves its window over bytes that were never published."""
    authority = writing("abc")
    authority.take(WindowMoved(authority.state.epoch, 4096))
    assert authority.state.base == 3
    page = Page(authority, "one")
    typed = page.type(3)
    page.settle()
    assert authority.state.text == "abc" + typed
