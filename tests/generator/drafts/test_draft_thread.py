"""A batch of requests: text of one epoch that came together is one event, and nothing changes its order."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.drafts.draft_thread import BatchResult, events_of
from generator.drafts.mailbox import Request
from stories.draft.events import DraftEvent, Pause, Tick, Wrote
from stories.draft.result import Result
from stories.errors import Refused
from stories.text.changes import ChangeSet
from stories.text.update import USER, Token, Update
from tests.stories.writers import new_state


def wrote(epoch: int, text: str) -> Wrote:
    return Wrote(epoch, text, tuple(Token(ord(letter), 1, -1.0) for letter in text), "t")


KINDS = st.one_of(
    st.tuples(st.just("text"), st.integers(1, 2), st.text("abc", min_size=1, max_size=3)),
    st.tuples(st.just("asked"), st.just(0), st.just("")),
    st.tuples(st.just("posted"), st.just(0), st.just("")),
)


def request_of(kind: str, epoch: int, text: str) -> Request:
    if kind == "text":
        return Request(lambda: wrote(epoch, text))
    return Request(Pause, None, Future() if kind == "asked" else None)


@given(st.lists(KINDS, max_size=20))
def test_the_events_are_those_of_the_requests_with_neighbouring_text_joined(kinds: list[tuple[str, int, str]]) -> None:
    found = [event for _, event in events_of([request_of(*kind) for kind in kinds])]
    expected: list[DraftEvent] = []
    for kind, epoch, text in kinds:
        last = expected[-1] if expected else None
        if kind != "text":
            expected.append(Pause())
        elif isinstance(last, Wrote) and last.epoch == epoch:
            expected[-1] = wrote(epoch, last.text + text)
        else:
            expected.append(wrote(epoch, text))
    assert found == expected


def test_text_is_handled_before_a_later_request_builds_its_event() -> None:
    handled: list[str] = []

    def build() -> DraftEvent:
        assert handled == ["ab"], "the request may read the log"
        return Tick(0.0)

    requests = [Request(lambda: wrote(1, "a")), Request(lambda: wrote(1, "b")), Request(build, None, Future())]
    for _, event in events_of(requests):
        if isinstance(event, Wrote):
            handled.append(event.text)
    assert handled == ["ab"]


def test_a_request_whose_event_is_refused_is_answered_and_left_out() -> None:
    def refuse() -> DraftEvent:
        raise Refused("behind", "Too far behind.")

    refused: Future[None] = Future()
    ((_, event),) = events_of([Request(refuse, None, refused), Request(Pause)])
    assert event == Pause()
    with pytest.raises(Refused, match="Too far behind"):
        refused.result(0)


def test_a_result_gathers_updates_and_accepted_requests() -> None:
    update = Update("page", USER, ChangeSet.insert(0, 0, "x"))
    first, second, made = Request(Pause), Request(Pause), BatchResult()
    made.add(first, Result(new_state("x"), (update,)))
    made.add(second, Result(new_state("x")))
    assert made.updates == [update]
    assert made.accepted == [first, second]
