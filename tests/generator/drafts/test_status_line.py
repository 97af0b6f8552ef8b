"""The status line: reaction time, and which holds are shown."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import pytest

from generator.drafts.status_line import StatusLine
from generator.engine_link.shared_engine import EngineStatus
from generator.wire.messages import ModelSpec, Status
from stories.draft.state import DraftState, Run
from stories.text.changes import ChangeSet
from stories.text.update import MODEL_CLIENT, SERVER_CLIENT, USER, Token, Update
from tests.stories.writers import new_state

WRITING = replace(new_state(), run=Run(None, 0, 1))
MODEL = Update(MODEL_CLIENT, "model:Fake", ChangeSet.identity(0), (Token(1, 1, -1.0),), "t")
TYPED = Update("a" * 32, USER, ChangeSet.identity(0))
READY = EngineStatus(True, Status(ModelSpec("fake", "instant"), "ready", 1.0))
RETRACTED = Update(SERVER_CLIENT, USER, ChangeSet.identity(0))


@pytest.fixture
def reacted() -> Mock:
    return Mock()


@pytest.fixture
def line(reacted: Mock) -> StatusLine:
    return StatusLine("draft", reacted)


def said(line: StatusLine, state: DraftState, now: float) -> object:
    return (line.due(state, READY, now, always=True) or {}).get("reaction_ms")


def test_reaction_time_is_from_receipt_to_first_token_and_is_also_told_without_the_hold(
    line: StatusLine, reacted: Mock
) -> None:
    line.edited(10.0)
    line.wrote([MODEL, RETRACTED, TYPED], WRITING, 10.01)
    assert said(line, WRITING, 10.01) is None
    line.wrote([MODEL, MODEL], replace(WRITING, held_until=10.6), 10.65)
    reacted.assert_called_once_with(pytest.approx(0.65), pytest.approx(0.05))
    assert said(line, WRITING, 10.65) == 650
    line.wrote([MODEL], WRITING, 11.0)
    reacted.assert_called_once()


def test_reaction_time_counts_from_the_last_of_many_edits(line: StatusLine, reacted: Mock) -> None:
    for received in (10.0, 10.1, 10.2):
        line.edited(received)
        line.wrote([TYPED], WRITING, received + 0.01)
    line.wrote([MODEL], WRITING, 10.5)
    reacted.assert_called_once_with(pytest.approx(0.3), pytest.approx(0.3))


def test_a_refused_edit_has_no_reaction_time(line: StatusLine, reacted: Mock) -> None:
    line.edited(10.0)
    line.wrote([MODEL], WRITING, 10.5)
    reacted.assert_not_called()


@pytest.mark.parametrize(
    ("until", "told"), [(10.25, ["writing", None, None, None]), (10.6, ["writing", "held", None, "writing"])]
)
def test_a_short_hold_is_not_shown(line: StatusLine, until: float, told: list[str | None]) -> None:
    writing = replace(WRITING, granted=9)
    held = replace(writing, held_until=until, granted=0)
    course = [(writing, 9.9), (held, 10.0), (held, until - 0.05), (writing, until + 0.05)]
    said = [line.due(state, READY, now, always=False) for state, now in course]
    assert [body and body["state"] for body in said] == told


def test_a_hold_that_edits_renew_is_shown_once_it_is_long(line: StatusLine) -> None:
    waiting = replace(WRITING, granted=0)
    course = [(waiting, 9.0)] + [(replace(waiting, held_until=10 + at / 5 + 0.25), 10 + at / 5) for at in range(4)]
    said = [line.due(state, READY, now, always=True) for state, now in course]
    assert [body and body["state"] for body in said] == ["waiting", "waiting", "held", "held", "held"]


def test_an_edit_of_a_paused_draft_has_no_reaction_time(line: StatusLine, reacted: Mock) -> None:
    line.edited(10.0)
    line.wrote([TYPED], WRITING, 10.01)
    said(line, replace(WRITING, run=None), 10.2)
    line.wrote([MODEL], WRITING, 60.0)
    reacted.assert_not_called()
