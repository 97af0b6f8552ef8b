"""Two pages and a model at one text, under lag, lost acks and repeats: the document's invariants."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from stories.draft.events import Configure, EngineRestarted, Pause, Rewind, Tick, Viewed
from stories.draft.reducer import reduce
from stories.draft.state import DraftSettings
from stories.errors import Refused
from stories.text.update import MODEL_CLIENT, SERVER_CLIENT, USER
from tests.rig.figures import share
from tests.stories.writers import Authority, Page


class TwoPagesAndAModel(RuleBasedStateMachine):
    @initialize(text=st.sampled_from(["", "Once upon a time", "a\n\nb"]))
    def begin(self, text: str) -> None:
        self.authority = Authority(text)
        letters = count(0x4E00)
        self.pages = [Page(self.authority, name, letters=letters) for name in ("one", "two")]
        self.old_epochs: list[int] = []
        self.paused_at: str | None = None
        self.user_deleted: set[str] = set()
        self.checked = 0

    def _at(self, page: Page, place: float) -> int:
        return round(place * len(page.text))

    @rule(which=st.integers(0, 1), place=st.floats(0, 1), amount=st.integers(1, 3))
    def type_somewhere(self, which: int, place: float, amount: int) -> None:
        page = self.pages[which]
        page.type(self._at(page, place), amount)

    @rule(which=st.integers(0, 1))
    def type_at_the_end(self, which: int) -> None:
        page = self.pages[which]
        page.type(len(page.text))

    @rule(which=st.integers(0, 1), place=st.floats(0, 1), length=st.integers(1, 5))
    def delete(self, which: int, place: float, length: int) -> None:
        page = self.pages[which]
        start = self._at(page, place)
        if start < len(page.text):
            page.delete(start, min(start + length, len(page.text)))

    @rule(which=st.integers(0, 1))
    def send(self, which: int) -> None:
        self.pages[which].send()

    @rule(which=st.integers(0, 1), lost=st.booleans())
    def arrive(self, which: int, lost: bool) -> None:
        before = self.authority.state.epoch
        self.pages[which].arrive(ack_is_lost=lost)
        if self.authority.state.epoch != before:
            self.old_epochs.append(before)

    @rule(which=st.integers(0, 1), at_most=st.integers(1, 4))
    def receive(self, which: int, at_most: int) -> None:
        self.pages[which].receive(at_most)

    @rule(limit=st.none() | st.integers(1, 9))
    def start(self, limit: int | None) -> None:
        self.authority.start(limit)
        self.paused_at = None

    @rule(text=st.text("abcdefg \n", min_size=1, max_size=4))
    def model_writes(self, text: str) -> None:
        self.authority.write(text)

    @rule(text=st.text("abc", min_size=1, max_size=4), which=st.integers(0, 50))
    def model_writes_for_an_old_epoch(self, text: str, which: int) -> None:
        if self.old_epochs:
            stale = self.old_epochs[which % len(self.old_epochs)]
            if stale != self.authority.state.epoch:
                assert not self.authority.write(text, stale).updates

    @rule()
    def pause(self) -> None:
        self.old_epochs.append(self.authority.state.epoch)
        self.authority.take(Pause())
        self.paused_at = self.authority.state.text

    @rule(seconds=st.sampled_from([0.1, 0.3, 0.7, 20.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.authority.wait(seconds)

    @rule(retry=st.booleans())
    def rewind(self, retry: bool) -> None:
        state = self.authority.state
        try:
            step = self.authority.take(Rewind(None, (), "kept", retry, 7, self.authority.now))
        except Refused:
            return
        assert step.forks[0].text == state.text
        assert step.forks[0].spans == state.spans
        if retry:
            self.paused_at = None

    @rule(model=st.sampled_from(["GPT-2 small", "Other"]))
    def hand_over(self, model: str) -> None:
        self.authority.take(Configure(DraftSettings(model, {}, None), self.authority.now))

    @rule()
    def engine_restarts(self) -> None:
        self.authority.take(EngineRestarted(self.authority.now))

    @invariant()
    def text_is_the_fold_of_the_log(self) -> None:
        state = self.authority.state
        assert state.text == self.authority.folded()
        assert state.spans.length == len(state.text)
        assert 0 <= state.base <= len(state.text)
        assert 0 <= state.run_start <= len(state.text)

    @invariant()
    def models_and_the_server_remove_no_user_character(self) -> None:
        text = self.authority.first
        for number, update in enumerate(self.authority.log):
            if number >= self.checked and update.client in (MODEL_CLIENT, SERVER_CLIENT):
                removed = "".join(text[a:b] for a, b, *_ in update.changes.iter_changes())
                assert not any(ord(letter) >= 0x4E00 for letter in removed)
            text = update.changes.apply(text)
        self.checked = len(self.authority.log)

    @invariant()
    def nothing_comes_after_a_pause(self) -> None:
        if self.paused_at is not None:
            assert all(update.client != MODEL_CLIENT for update in self.authority.write("z").updates)

    @invariant()
    def the_budget_is_none_while_held_and_never_beyond_the_credit(self) -> None:
        state = self.authority.state
        if state.run is None:
            assert state.granted == 0
        elif not state.dormant and state.is_held(self.authority.now):
            assert state.granted <= state.made
        assert state.granted - state.made <= 512

    @invariant()
    def what_a_page_has_seen_is_left_out_only_where_nothing_follows_from_it(self) -> None:
        state, now = self.authority.state, self.authority.now
        for connection in (*state.viewers, "another"):
            for revision in {0, state.revision // 2, state.revision}:
                if not state.would_notice(connection, revision):
                    assert reduce(state, Viewed(connection, revision, now)) == reduce(state, Tick(now))

    def teardown(self) -> None:
        if not hasattr(self, "pages"):
            return
        for _ in range(2):
            for page in self.pages:
                page.settle()
        for page in self.pages:
            page.receive()
            assert page.text == self.authority.state.text
            assert not page.unconfirmed
        typed = set().union(*(page.typed for page in self.pages))
        deleted = set().union(*(page.deleted for page in self.pages))
        text = self.authority.state.text
        for letter in typed - deleted:
            assert text.count(letter) == 1, "a typed character was lost or doubled"
        at = 0
        for length, author in self.authority.state.spans.runs():
            part, at = text[at : at + length], at + length
            assert author == USER or not set(part) & typed, "a typed character counts as a model's"


class ForLong(TwoPagesAndAModel):
    """The same, five thousand times."""


TwoPagesAndAModel.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
ForLong.TestCase.settings = settings(max_examples=share(5_000), stateful_step_count=40, deadline=None)
TestTwoPagesAndAModel = TwoPagesAndAModel.TestCase
TestForLong = pytest.mark.long(ForLong.TestCase)
