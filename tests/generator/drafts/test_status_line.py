"""How long the model took to answer an edit: from its receipt to the first committed token that saw it."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import Mock

import pytest

from generator.drafts.status_line import StatusLine
from stories.draft.state import DraftState, Run
from stories.text.changes import ChangeSet
from stories.text.update import MODEL_CLIENT, SERVER_CLIENT, USER, Token, Update
from tests.stories.writers import new_state

WRITING = replace(new_state(), run=Run(None, 0, 1))
MODEL = Update(MODEL_CLIENT, "model:Fake", ChangeSet.identity(0), (Token(1, 1, -1.0),), "t")
TYPED = Update("a" * 32, USER, ChangeSet.identity(0))
RETRACTED = Update(SERVER_CLIENT, USER, ChangeSet.identity(0))


@pytest.fixture
def reacted() -> Mock:
    return Mock()


@pytest.fixture
def report(reacted: Mock) -> StatusLine:
    return StatusLine("draft", reacted)


def said(report: StatusLine, state: DraftState, now: float) -> object:
    scribe = Mock(engine_is_up=True, model_status=Mock(return_value=Mock(state="ready")))
    return (report.due(state, scribe, now, always=True) or {}).get("reaction_ms")


def test_it_counts_from_the_receipt_to_the_first_token_and_says_what_the_hold_was_not(
    report: StatusLine, reacted: Mock
) -> None:
    report.edited(10.0)
    report.wrote([MODEL, RETRACTED, TYPED], WRITING, 10.01)
    assert said(report, WRITING, 10.01) is None
    report.wrote([MODEL, MODEL], replace(WRITING, held_until=10.6), 10.65)
    reacted.assert_called_once_with(pytest.approx(0.65), pytest.approx(0.05))
    assert said(report, WRITING, 10.65) == 650
    report.wrote([MODEL], WRITING, 11.0)
    reacted.assert_called_once()


def test_of_many_edits_the_last_one_counts(report: StatusLine, reacted: Mock) -> None:
    for received in (10.0, 10.1, 10.2):
        report.edited(received)
        report.wrote([TYPED], WRITING, received + 0.01)
    report.wrote([MODEL], WRITING, 10.5)
    reacted.assert_called_once_with(pytest.approx(0.3), pytest.approx(0.3))


def test_an_edit_that_was_refused_is_not_answered(report: StatusLine, reacted: Mock) -> None:
    report.edited(10.0)
    report.wrote([MODEL], WRITING, 10.5)
    reacted.assert_not_called()


@pytest.mark.parametrize(
    ("until", "told"), [(10.25, ["writing", None, None, None]), (10.6, ["writing", "held", None, "writing"])]
)
def test_a_hold_that_is_over_in_a_moment_is_not_said(report: StatusLine, until: float, told: list[str | None]) -> None:
    scribe = Mock(engine_is_up=True, model_status=Mock(return_value=Mock(state="ready")))
    writing = replace(WRITING, granted=9)
    held = replace(writing, held_until=until, granted=0)
    course = [(writing, 9.9), (held, 10.0), (held, until - 0.05), (writing, until + 0.05)]
    said = [report.due(state, scribe, now, always=False) for state, now in course]
    assert [body and body["state"] for body in said] == told


def test_a_hold_that_edits_renew_is_said_and_what_was_said_stands_until_then(report: StatusLine) -> None:
    scribe = Mock(engine_is_up=True, model_status=Mock(return_value=Mock(state="ready")))
    waiting = replace(WRITING, granted=0)
    course = [(waiting, 9.0)] + [(replace(waiting, held_until=10 + at / 5 + 0.25), 10 + at / 5) for at in range(4)]
    said = [report.due(state, scribe, now, always=True) for state, now in course]
    assert [body and body["state"] for body in said] == ["waiting", "waiting", "held", "held", "held"]


def test_who_does_not_let_it_write_does_not_wait(report: StatusLine, reacted: Mock) -> None:
    report.edited(10.0)
    report.wrote([TYPED], WRITING, 10.01)
    said(report, replace(WRITING, run=None), 10.2)
    report.wrote([MODEL], WRITING, 60.0)
    reacted.assert_not_called()
