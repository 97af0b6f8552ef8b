"""Payload schemas by property: whatever comes, the answer is a payload or a refusal, never another exception."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stories.errors import CODES, Refused
from web import payloads
from web.namespace import EVENTS
from web.payloads import fields_of, parse

SHAPES = [event.payload for event in EVENTS.values()] + [
    *(payloads.Auth, payloads.CreateStoryRequest, payloads.RenameStoryRequest, payloads.CreateDraftRequest)
]
NAMES = sorted({name for shape in SHAPES for name in fields_of(shape)})

characters = st.characters() | st.sampled_from("\0\r\n\ud800\udc00\U0001f422")
scalars = (
    *(st.none(), st.booleans(), st.integers(), st.integers(0, 40), st.floats(), st.text(characters, max_size=40)),
    *(st.just("d" * 32), st.just("server"), st.just("continue"), st.just(2**53), st.just("x" * 300_000)),
)
anything = st.recursive(
    st.one_of(*scalars), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner)
)
section = st.integers(0, 9) | st.lists(st.integers(0, 3) | st.text(characters, max_size=3), max_size=3)
valid = {
    "draft": st.just("d" * 32),
    "parent": st.just("d" * 32),
    "revision": st.integers(0, 2**53 - 1),
    "client": st.from_regex(r"[0-9a-f]{32}", fullmatch=True),
    "updates": st.lists(st.fixed_dictionaries({"changes": st.lists(section, max_size=3)}), min_size=1, max_size=3),
    "protocol": st.just(1),
    "composing": st.booleans(),
    "limit": st.integers(1, 9),
    "model": st.just("GPT-2 small"),
    "models": st.just(["a", "b"]),
    "drafts": st.integers(1, 16),
    "sampling": st.sampled_from([{}, {"temperature": 0}, {"seed": None}, {"top_k": 5, "stop_at_end": True}]),
    "premise": st.just("A 🐢."),
    "prompt": st.just("Once\n"),
    "title": st.just("T"),
    "mode": st.sampled_from(["continue", "prompt"]),
    "from": st.integers(0, 9),
    "at": st.integers(0, 9),
}


def test_every_field_has_valid_values_here() -> None:
    assert sorted(valid) == NAMES


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_anything_is_parsed_or_refused(shape: type, data: st.DataObject) -> None:
    draw: dict[str, Any] = {name: valid[name] | anything for name in fields_of(shape)}
    given_ = data.draw(anything | st.fixed_dictionaries({}, optional=draw) | st.fixed_dictionaries(draw))
    parsed, refused = parse_or_refuse(shape, given_)
    if refused is None:
        json.dumps(payloads.given(parsed), default=str, allow_nan=False)
    else:
        assert refused.code in CODES
        assert refused.message.isprintable()
        assert len(refused.message) < 400


def parse_or_refuse(shape: type, data: object) -> tuple[object, Refused | None]:
    try:
        return parse(shape, data), None
    except Refused as refused:
        return None, refused


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_one_wrong_field_is_enough_to_be_refused(shape: type, data: st.DataObject) -> None:
    fields = fields_of(shape)
    good = {name: data.draw(valid[name]) for name in fields}
    spoiled = data.draw(st.sampled_from(sorted(fields)))
    wrong = data.draw(st.sampled_from([None, math.nan, 1.5, -1, [None], {"a": 1}, "\ud800", b"x"]))
    with pytest.raises(Refused):
        parse(shape, good | {spoiled: wrong})


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_missing_and_unknown_fields_are_refused(shape: type, data: st.DataObject) -> None:
    good = {name: data.draw(valid[name]) for name, field in fields_of(shape).items() if not field.optional}
    if "updates" not in good:  # whose random changes may be refused for themselves
        parse(shape, good)
    for name in good:
        with pytest.raises(Refused):
            parse(shape, {key: value for key, value in good.items() if key != name})
    with pytest.raises(Refused):
        parse(shape, good | {"surplus": 1})


def test_text_keeps_its_astral_characters_whole() -> None:
    assert parse(payloads.RenameStoryRequest, {"title": "\ud83d\udc22"}) == payloads.RenameStoryRequest("🐢")
