"""Errors: every refusal has a code of the protocol and a full sentence, and nothing else of a refusal is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from stories.errors import (
    CODES,
    Behind,
    Damaged,
    ModelUnavailable,
    PastEnd,
    Refused,
    SchemaTooNew,
    StorageFailed,
    StoreError,
    TooLong,
    UnknownDraft,
    UnknownModel,
    UnknownRevision,
    UnknownStory,
)

REST_ONLY = {"unknown_story"}
SENTENCE = "A sentence."
REFUSALS: list[tuple[Refused, str]] = [
    (Behind(), "behind"),
    (PastEnd(), "invalid"),
    (UnknownModel("GPT-9"), "unknown_model"),
    (ModelUnavailable("GPT-2", "The folder is empty."), "model_unavailable"),
    (UnknownStory(), "unknown_story"),
    (UnknownDraft(), "unknown_draft"),
    (UnknownRevision(), "invalid"),
    *((kind(SENTENCE), "storage") for kind in (StoreError, TooLong, SchemaTooNew, Damaged, StorageFailed)),
]


def subclasses(kind: type[Refused]) -> Iterator[type[Refused]]:
    for one in kind.__subclasses__():
        yield one
        yield from subclasses(one)


@pytest.mark.parametrize(("refusal", "code"), REFUSALS, ids=lambda value: type(value).__name__)
def test_every_refusal_has_its_code_and_a_sentence(refusal: Refused, code: str) -> None:
    assert refusal.code == code
    assert code in {*CODES, *REST_ONLY}
    assert refusal.message == str(refusal)
    assert refusal.message[0].isupper()
    assert refusal.message.endswith(".")


def test_no_refusal_is_missing_here() -> None:
    here = {kind for kind in subclasses(Refused) if kind.__module__ == "stories.errors"}
    assert {type(refusal) for refusal, _ in REFUSALS} == here


def test_a_refusal_names_the_model_and_the_reason() -> None:
    assert "'GPT-9'" in UnknownModel("GPT-9").message
    assert ModelUnavailable("GPT-2", "The folder is empty.").message == "GPT-2: The folder is empty."


def test_errors_of_the_store_are_told_apart_from_other_refusals() -> None:
    assert all(isinstance(error, StoreError) for error in (UnknownStory(), UnknownDraft(), Damaged(SENTENCE)))
    assert not isinstance(Behind(), StoreError)
