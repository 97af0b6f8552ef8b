"""Sampling parameters: values within the ranges are taken, and a refusal says what is allowed."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generator.wire.messages import decode, encode
from generator.wire.sampling_params import RANGES, InvalidSamplingParam, NumberRange, SamplingParams, WordList, check
from tests.generator.engine.engine_process import a_set

BANNED_WORDS = (
    "banned_words must be a list of at most 32 words or phrases, each of 1 to 40 printable characters without spaces "
    "around them."
)
REFUSED = [
    ("top_k", 1001, "top_k must be a whole number from 0 to 1000."),
    ("typical_p", 1.1, "typical_p must be a number from 0 to 1."),
    ("presence_penalty", -2.5, "presence_penalty must be a number from -2 to 2."),
    ("frequency_penalty", "1", "frequency_penalty must be a number from -2 to 2."),
    ("penalty_range", 4097, "penalty_range must be a whole number from 0 to 4096."),
    ("dry_multiplier", -1, "dry_multiplier must be a number from 0 to 5."),
    ("dry_base", 0.5, "dry_base must be a number from 1 to 4."),
    ("dry_allowed_length", 0, "dry_allowed_length must be a whole number from 1 to 20."),
    ("xtc_probability", True, "xtc_probability must be a number from 0 to 1."),
    ("xtc_threshold", 0.6, "xtc_threshold must be a number from 0 to 0.5."),
    ("no_repeat_ngram", 2.0, "no_repeat_ngram must be a whole number from 0 to 20."),
    ("pace", 9, "pace must be a whole number from 10 to 6000, or null."),
    ("seed", 2**53, "seed must be a whole number from 0 to 9007199254740991, or null."),
    ("stop_at_end", 1, "stop_at_end must be true or false."),
    ("top_p", None, "top_p must be a number from 0 to 1."),
    ("temperature", float("nan"), "temperature must be a number from 0 to 2."),
    *(
        ("banned_words", value, BANNED_WORDS)
        for value in (None, "cat", [""], [" cat"], ["a\nb"], ["\ud800"], [1], ["a"] * 33, ["a" * 41])
    ),
    ("tempo", 1, "There is no sampling parameter 'tempo'."),
    ("x" * 41, 1, f"There is no sampling parameter '{'x' * 40}'."),
]


@pytest.mark.parametrize(("name", "value", "sentence"), REFUSED)
def test_a_refused_value_changes_nothing_and_the_message_says_what_is_allowed(
    name: str, value: object, sentence: str
) -> None:
    before = SamplingParams()
    with pytest.raises(InvalidSamplingParam, match=f"^{re.escape(sentence)}$") as refusal:
        before.merged({"temperature": 1, name: value})
    assert (refusal.value.code, refusal.value.message) == ("invalid", sentence)
    assert before == SamplingParams()


@pytest.mark.parametrize("name", RANGES)
def test_a_range_contains_both_of_its_ends_and_the_default(name: str) -> None:
    allowed, default = RANGES[name], SamplingParams().to_json()[name]
    if isinstance(allowed, WordList):
        ends: list[object] = [[], ["é" * allowed.length] * allowed.count]
    elif allowed.type is bool:
        ends = [False, True]
    else:
        assert isinstance(allowed, NumberRange)
        ends = [allowed.type(allowed.low), allowed.type(allowed.high), *([None] if allowed.nullable else [])]
    for value in (default, *ends):
        assert SamplingParams().merged({name: value}).to_json()[name] == value


@given(st.sampled_from(["top_k", "penalty_range", "dry_allowed_length", "min_length"]), st.integers())
def test_a_whole_number_is_accepted_exactly_within_its_range(name: str, value: int) -> None:
    allowed = RANGES[name]
    assert isinstance(allowed, NumberRange)
    if value in range(int(allowed.low), int(allowed.high) + 1):
        check(name, value)
    else:
        with pytest.raises(InvalidSamplingParam):
            check(name, value)


def test_parameters_reach_the_engine_unchanged() -> None:
    chosen = SamplingParams().merged({"banned_words": ["the cat", "é"], "pace": 200, "seed": 1})
    command = a_set("Once", sampling=chosen)
    assert decode(json.loads(json.dumps(encode(command)))) == command
    assert SamplingParams().merged(json.loads(json.dumps(chosen.to_json()))) == chosen
