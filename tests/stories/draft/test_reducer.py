"""The reducer's rules one by one: tail floor, holds, credit, limits, rewind and retry."""

from __future__ import annotations

from itertools import count

import pytest

from stories.draft.events import (
    Configure,
    Hold,
    Left,
    Pause,
    Rewind,
    RunStopped,
    Viewed,
    WindowMoved,
    Wrote,
)
from stories.draft.state import DraftSettings, restore
from stories.errors import Refused
from stories.text.update import USER, Token
from tests.stories.writers import Authority, Page


def writing(text: str = "Once upon a time") -> Authority:
    authority = Authority(text)
    authority.take(Viewed("page", 0, authority.now))
    authority.start()
    return authority


def rewind(authority: Authority, start: int | None = None, retry: bool = False) -> None:
    authority.take(Rewind(start, (), "kept", retry, 7, authority.now))


def test_typing_at_the_end_retracts_what_its_author_had_not_seen() -> None:
    authority = writing("The cat sat on")
    page = Page(authority, "one")
    page.receive()
    authority.write(" the")
    word = page.type(len(page.text), 2)
    page.send()
    authority.write(" mat")
    page.arrive()
    assert authority.state.text == "The cat sat on" + word
    page.receive()
    assert page.text == authority.state.text


def test_the_tail_floor_never_goes_past_a_user_character() -> None:
    authority = writing("abc")
    letters = count(0x4E00)
    first, second = Page(authority, "one", letters=letters), Page(authority, "two", letters=letters)
    authority.write(" model")
    second.receive()
    inside = second.type(5)
    second.settle()
    authority.wait(1)
    authority.write(" more")
    tail = first.type(len(first.text))
    first.send()
    first.arrive()
    assert authority.state.text == f"abc m{inside}{tail}"


def test_an_edit_away_from_the_end_keeps_the_models_text() -> None:
    authority = writing()
    page = Page(authority, "one")
    authority.write(" there")
    page.type(0)
    page.settle()
    assert authority.state.text.endswith("time there")


def test_a_repeated_push_is_harmless() -> None:
    authority = writing()
    page = Page(authority, "one")
    page.type(3)
    page.send()
    page.arrive(ack_is_lost=True)
    before = authority.state
    page.arrive()
    assert authority.state == before


def test_a_stale_epoch_writes_nothing() -> None:
    authority = writing()
    epoch = authority.state.epoch
    page = Page(authority, "one")
    page.type(0)
    page.settle()
    assert not authority.write(" stale", epoch).updates


@pytest.mark.parametrize(("at", "seconds"), [(0, 0.25), (16, 0.6)])
def test_an_edit_holds_decoding_for_a_moment(at: int, seconds: float) -> None:
    authority = writing()
    page = Page(authority, "one")
    page.type(at)
    page.settle()
    assert authority.state.granted == 0
    assert authority.state.deadline(authority.now) == pytest.approx(authority.now + seconds)
    authority.wait(seconds - 0.01)
    assert authority.state.granted == 0
    authority.wait(0.02)
    assert authority.state.granted == 512


def test_a_composition_holds_until_it_ends_or_ten_seconds_pass_without_an_edit() -> None:
    authority = writing()
    for _ in range(19):
        authority.take(Hold("page", True, authority.now))
        assert authority.state.granted == authority.state.made
        authority.wait(0.5)
    authority.take(Hold("page", False, authority.now))
    assert authority.state.granted == 512
    for _ in range(30):
        authority.take(Hold("page", True, authority.now))
        authority.wait(0.5)
    assert authority.state.granted == 512, "an idle composition holds no longer"


def test_a_lease_that_is_not_renewed_ends_after_a_second() -> None:
    authority = writing()
    authority.take(Hold("page", True, authority.now))
    authority.wait(1.01)
    assert authority.state.granted == 512


def test_a_limit_is_exact_and_its_end_pauses() -> None:
    authority = Authority("a")
    authority.start(limit=3)
    assert authority.state.granted == 3
    authority.write("b")
    authority.write("cd")
    assert authority.state.run is None
    assert authority.state.outcome == "limit"
    assert not authority.write("e").updates


def test_a_lower_limit_holds_for_what_the_engine_has_made_already() -> None:
    authority = writing()
    under_way = authority.state.epoch
    authority.start(limit=2)
    authority.take(Wrote(under_way, " a b c d", tuple(Token(1, 2, -1.0) for _ in range(4)), "fake"))
    assert authority.state.text == "Once upon a time"
    authority.write(" e")
    assert authority.state.text == "Once upon a time e"
    assert authority.state.outcome == "limit"


def test_starting_again_replaces_the_limit() -> None:
    authority = Authority("a")
    authority.start(limit=3)
    authority.write("bc")
    authority.start(limit=10)
    assert authority.state.granted - authority.state.made == 10


def test_a_run_goes_512_tokens_beyond_the_fastest_viewer() -> None:
    authority = writing()
    for _ in range(512):
        authority.write("a")
    assert authority.state.granted == authority.state.made == 512
    authority.take(Viewed("page", authority.state.revision - 500, authority.now))
    assert authority.state.granted - authority.state.made == 12
    authority.take(Viewed("page", authority.state.revision, authority.now))
    assert authority.state.granted - authority.state.made == 512


def test_without_a_viewer_for_a_minute_it_pauses() -> None:
    authority = writing()
    authority.take(Left("page", authority.now))
    authority.wait(59)
    assert authority.state.run
    authority.wait(2)
    assert authority.state.run is None
    assert authority.state.outcome == "no_viewer"


def test_rewind_cuts_the_last_stretch_and_keeps_it_as_a_sibling() -> None:
    authority = writing("Once.")
    authority.write(" One.\n\nTwo.\n\n")
    before = authority.state.text
    authority.take(Pause())
    step = authority.take(Rewind(None, (), "kept", False, 7, authority.now))
    assert authority.state.text == "Once. One.\n\n"
    assert step.forks[0].text == before
    assert step.updates[0].author == USER
    rewind(authority)
    assert authority.state.text == "Once."
    with pytest.raises(Refused, match="not written anything after your last words"):
        rewind(authority)


def test_rewind_stops_at_the_runs_start_and_at_user_text() -> None:
    authority = writing("a")
    authority.write("b")
    authority.take(Pause())
    authority.start()
    authority.write("c")
    authority.take(Pause())
    rewind(authority)
    assert authority.state.text == "ab"
    rewind(authority)
    assert authority.state.text == "a"


def test_rewind_from_a_place_cuts_all_that_follows() -> None:
    authority = writing("Once upon a time")
    over = tuple(authority.log)
    authority.write(" there")
    rewind(authority, start=4)
    assert authority.state.text == "Once"
    with pytest.raises(Refused, match="past the end"):
        authority.take(Rewind(99, over, "kept", False, 7, authority.now))


def test_retry_is_a_new_attempt_and_writes() -> None:
    authority = writing("a")
    authority.write("b")
    authority.take(Pause())
    rewind(authority, retry=True)
    state = authority.state
    assert (state.text, state.attempt) == ("a", 1)
    assert state.run
    assert state.granted == 512


def test_a_new_setting_takes_effect_at_once() -> None:
    authority = writing()
    epoch = authority.state.epoch
    settings = DraftSettings("Other", {"temperature": 0.5}, None)
    authority.take(Configure(settings, authority.now))
    assert authority.state.epoch == epoch + 1
    assert authority.state.granted == 512
    authority.take(Configure(settings, authority.now))
    assert authority.state.epoch == epoch + 1, "nothing changed"


def test_the_windows_base_follows_edits() -> None:
    authority = writing("one two three")
    authority.take(WindowMoved(authority.state.epoch, 4))
    page = Page(authority, "one")
    page.type(0, 3)
    page.settle()
    assert authority.state.base == 7
    authority.take(WindowMoved(authority.state.epoch, 4))
    assert authority.state.base == 11


def test_an_end_and_a_failure_stop_the_run() -> None:
    for outcome in ("ended", "failed"):
        authority = writing()
        authority.take(RunStopped(authority.state.epoch, outcome, "why"))
        assert (authority.state.run, authority.state.outcome, authority.state.reason) == (None, outcome, "why")


def test_an_interrupted_run_resumes_when_the_draft_is_opened() -> None:
    authority = writing("a")
    authority.write("b")
    state = authority.state
    stored = restore("draft", state.revision, state.text, state.spans, state.head())
    assert not stored.is_writing
    assert stored.run == state.run
    authority.state = stored
    authority.take(Viewed("page", stored.revision, authority.now))
    assert authority.state.is_writing
    assert authority.state.granted == 512
    authority.state = stored
    authority.take(Pause())
    assert authority.state.run is None


def test_an_edit_does_not_start_a_run() -> None:
    authority = Authority("a")
    page = Page(authority, "one")
    page.type(0)
    page.settle()
    assert not authority.state.is_writing
