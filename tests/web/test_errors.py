"""Errors: the HTTP status of each code, as the documentation has it, and the shape of a refusal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stories.errors import CODES
from tests.test_protocol_docs import rows
from web.errors import STATUSES, error_body, refusal, status_of

DOCUMENTED = [(code.strip("`"), int(status)) for code, status, _ in rows("Errors")]


@pytest.mark.parametrize(("code", "status"), DOCUMENTED)
def test_each_documented_code_has_its_status(code: str, status: int) -> None:
    assert status_of(code) == status


def test_every_code_of_a_refusal_has_a_documented_status() -> None:
    assert set(CODES) | {"unknown_story"} <= STATUSES.keys() == dict(DOCUMENTED).keys()


@given(st.text().filter(lambda code: code not in STATUSES))
def test_an_unknown_code_is_a_bad_request(code: str) -> None:
    assert status_of(code) == 400


def test_a_refused_event_and_a_refused_request_have_the_same_error() -> None:
    assert error_body("busy", "Wait.") == {"error": {"code": "busy", "message": "Wait."}}
    assert refusal("busy", "Wait.") == {"ok": False, "error": {"code": "busy", "message": "Wait."}}
