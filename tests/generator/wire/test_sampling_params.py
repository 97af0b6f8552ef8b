"""Settings are taken within their ranges only, and a refusal says which these are."""

from __future__ import annotations

import json

import pytest

from generator.wire.messages import decode, encode
from generator.wire.sampling_params import RANGES, InvalidSamplingParam, Range, SamplingParams, Words
from tests.generator.engine.engine_process import a_set

REFUSED = [
    ("typical_p", 1.1, "typical_p must be a number from 0 to 1"),
    ("presence_penalty", -2.5, "presence_penalty must be a number from -2 to 2"),
    ("frequency_penalty", "1", "frequency_penalty must be a number from -2 to 2"),
    ("penalty_range", 4097, "penalty_range must be a whole number from 0 to 4096"),
    ("dry_multiplier", -1, "dry_multiplier must be a number from 0 to 5"),
    ("dry_base", 0.5, "dry_base must be a number from 1 to 4"),
    ("dry_allowed_length", 0, "dry_allowed_length must be a whole number from 1 to 20"),
    ("xtc_probability", True, "xtc_probability must be a number from 0 to 1"),
    ("xtc_threshold", 0.6, "xtc_threshold must be a number from 0 to 0.5"),
    ("no_repeat_ngram", 2.0, "no_repeat_ngram must be a whole number from 0 to 20"),
    ("pace", 9, "pace must be a whole number from 10 to 6000, or null"),
    ("seed", 2**53, "seed must be a whole number from 0 to 9007199254740991, or null"),
    *(
        (
            "banned_words",
            value,
            "banned_words must be a list of at most 32 words or phrases, each of 1 to 40 characters",
        )
        for value in (None, "cat", [""], [" cat"], ["a\nb"], ["\ud800"], [1], ["a"] * 33, ["a" * 41])
    ),
    ("tempo", 1, "there is no sampling setting 'tempo'"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), REFUSED)
def test_what_is_out_of_range_is_refused_and_changes_nothing(name: str, value: object, sentence: str) -> None:
    with pytest.raises(InvalidSamplingParam, match="^" + sentence.replace("(", r"\(")):
        SamplingParams().merged({"temperature": 1, name: value})


@pytest.mark.parametrize("name", RANGES)
def test_both_ends_of_a_range_are_in_it_and_so_are_the_defaults(name: str) -> None:
    allowed, default = RANGES[name], SamplingParams().to_json()[name]
    if isinstance(allowed, Words):
        ends: list[object] = [[], ["é" * allowed.length] * allowed.count]
    elif allowed.type is bool:
        ends = [False, True]
    else:
        assert isinstance(allowed, Range)
        ends = [allowed.type(allowed.low), allowed.type(allowed.high), *([None] if allowed.nullable else [])]
    for value in (default, *ends):
        assert SamplingParams().merged({name: value}).to_json()[name] == value


def test_settings_reach_the_engine_as_they_are() -> None:
    chosen = SamplingParams().merged({"banned_words": ["the cat", "é"], "pace": 200, "seed": 1})
    command = a_set("Once", sampling=chosen)
    assert decode(json.loads(json.dumps(encode(command)))) == command
    assert SamplingParams().merged(json.loads(json.dumps(chosen.to_json()))) == chosen
