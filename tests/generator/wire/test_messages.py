"""Messages: each one survives its JSON form, and other data is refused."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.wire.messages import (
    Alternatives,
    EngineCommand,
    EngineEvent,
    MalformedMessage,
    ModelSpec,
    Piece,
    Ping,
    Set,
    Status,
    decode,
    encode,
)
from generator.wire.sampling_params import SamplingParams

SAMPLING = st.builds(
    SamplingParams,
    temperature=st.floats(0, 2),
    top_p=st.floats(0, 1),
    min_p=st.floats(0, 1),
    repetition_penalty=st.floats(1, 2),
    seed=st.none() | st.integers(0, 2**53 - 1),
)
st.register_type_strategy(SamplingParams, SAMPLING)
st.register_type_strategy(float, st.floats(-100, 100))
st.register_type_strategy(int, st.integers(-(2**31), 2**31 - 1))
MESSAGES = st.one_of(*(st.from_type(kind) for kind in (*get_args(EngineCommand), *get_args(EngineEvent))))


@given(MESSAGES)
def test_a_message_survives_its_json_form(message: EngineCommand | EngineEvent) -> None:
    assert decode(json.loads(json.dumps(encode(message)))) == message


def test_fields_with_default_values_are_left_out() -> None:
    model = {"source": "fake", "location": "x"}
    assert encode(Status(ModelSpec("fake", "x"), "loading")) == {"kind": "status", "model": model, "state": "loading"}


@given(MESSAGES, st.data())
def test_a_broken_message_is_malformed_or_another_message(
    message: EngineCommand | EngineEvent, data: st.DataObject
) -> None:
    broken: Any = json.loads(json.dumps(encode(message)))
    name = data.draw(st.sampled_from(sorted(broken)))
    broken[name] = data.draw(st.none() | st.text(max_size=3) | st.integers() | st.lists(st.integers(), max_size=2))
    try:
        decoded = decode(broken)
    except MalformedMessage:
        return
    assert encode(decoded) | {"kind": decoded.kind} == encode(decode(json.loads(json.dumps(encode(decoded)))))


def a_context(ids: object) -> object:
    """Return data that is a message if `ids` is an encoded column of numbers."""
    piece = {"text": "a", "ids": ids, "lengths": "AQAAAA=="}
    model = {"source": "fake", "location": "x"}
    return {
        "kind": "alternatives",
        "request": "r",
        "sequence": "s",
        "model": model,
        "premise": None,
        "before": [],
        "pieces": [piece],
        "at": 0,
    }


def test_a_column_of_numbers_is_one_string() -> None:
    message = decode(a_context("AQAAAA=="))
    assert isinstance(message, Alternatives)
    assert message.pieces == (Piece("a", (1,), (1,)),)


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"kind": "unheard-of"},
        {"kind": ["set"]},
        {"kind": "ping", "extra": 1},
        {"kind": "drop"},
        {"kind": "drop", "sequence": 1},
        {"kind": "load", "model": {"source": "fake", "location": "instant"}},
        {"kind": "status", "state": "ready", "model": {"source": "fake"}},
        {"kind": "status", "state": "ready", "model": {"source": "fake", "location": "instant", "window": True}},
        {"kind": "hello", "token": "t", "pid": 1},
        {"kind": "failed", "sequence": "s", "epoch": 1, "code": "engine", "message": "It broke."},
        {"kind": "chunk", "sequence": "s", "epoch": 1, "text": "", "tokens": [[1, 2]], "tokenizer": ""},
        {"kind": "chunk", "sequence": "s", "epoch": 1, "text": "", "tokens": [[1, 2, "x"]], "tokenizer": ""},
        *(a_context(ids) for ids in ([1, 2], "é", "AAA", "AAAA", None)),
    ],
)
def test_other_data_is_malformed(data: object) -> None:
    with pytest.raises(MalformedMessage):
        decode(data)


def test_kinds_are_distinct_and_defaults_may_be_left_out() -> None:
    kinds = [kind.kind for kind in (*get_args(EngineCommand), *get_args(EngineEvent))]
    assert len(set(kinds)) == len(kinds)
    assert decode({"kind": "ping"}) == Ping()
    assert ModelSpec("fake", "instant").key != ModelSpec("fake", "instant", 64).key
    assert Set.kind == "set"
