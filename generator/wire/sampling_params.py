"""Sampling parameters: their names, ranges and defaults, in one table.

Owns the rules that the payloads, the engine, the page and the docs share. Knows nothing of tensors:
`generator/engine/sampling/sampler.py` defines the effect of each parameter on the distribution.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from stories.errors import Refused

_SHOWN_NAME_CHARACTERS = 40  # an unknown name comes from outside and may be long


class InvalidSamplingParam(Refused):
    """A parameter is unknown, has the wrong type or is out of range. The message says what is allowed."""

    def __init__(self, message: str) -> None:
        super().__init__("invalid", message)


@dataclass(frozen=True, slots=True)
class NumberRange:
    """The numbers of one type from `low` to `high`, both included. With the type `bool`, true and false.

    A whole number is also accepted where the type is `float`. None is accepted if the range is `nullable`.
    """

    type: type
    low: float
    high: float
    nullable: bool = False

    def check(self, name: str, value: object) -> None:
        """Raise InvalidSamplingParam if the parameter `name` may not have this value."""
        if value is None and self.nullable:
            return
        is_bool = isinstance(value, bool)
        if self.type is bool:
            if not is_bool:
                raise InvalidSamplingParam(f"{name} must be true or false.")
            return
        is_number = isinstance(value, int) or (self.type is float and isinstance(value, float))
        if is_bool or not is_number or not self.low <= value <= self.high:  # type: ignore[operator]
            kind = "a whole number" if self.type is int else "a number"
            or_null = ", or null" if self.nullable else ""
            raise InvalidSamplingParam(f"{name} must be {kind} from {self.low:g} to {self.high:.16g}{or_null}.")


@dataclass(frozen=True, slots=True)
class WordList:
    """The lists of at most `count` words or phrases, each one line of at most `length` characters."""

    count: int
    length: int

    def check(self, name: str, value: object) -> None:
        """Raise InvalidSamplingParam if the parameter `name` may not have this value."""
        if not isinstance(value, list | tuple) or len(value) > self.count or not all(map(self._fits, value)):
            raise InvalidSamplingParam(
                f"{name} must be a list of at most {self.count} words or phrases, each of 1 to {self.length} "
                "printable characters without spaces around them."
            )

    def _fits(self, word: object) -> bool:
        return isinstance(word, str) and 0 < len(word) <= self.length and word.isprintable() and word == word.strip()


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """The parameters by which a draft's next token is chosen.

    Temperature 0 is greedy sampling. These values switch a parameter off: 0 for `top_k`, 1 for `top_p`, `typical_p` and
    `repetition_penalty`, and 0 for every other penalty.

    `penalty_range` is the number of last tokens that the repetition, presence and frequency penalties look at. With
    the `seed` None, each run draws a new seed. `min_length` is the number of model tokens that a run must contain
    before it may end; it matters only with `stop_at_end`. `pace` is in words per minute; None is as fast as possible.
    """

    temperature: float = 0.9
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.05
    typical_p: float = 1.0
    repetition_penalty: float = 1.1
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    penalty_range: int = 256
    dry_multiplier: float = 0.8
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    no_repeat_ngram: int = 0
    banned_words: tuple[str, ...] = ()
    seed: int | None = None
    min_length: int = 0
    stop_at_end: bool = False
    pace: int | None = None

    def merged(self, changes: Mapping[str, Any]) -> SamplingParams:
        """Return these parameters with `changes` merged in. Raise InvalidSamplingParam if one is not allowed."""
        for name, value in changes.items():
            check(name, value)
        given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in changes.items()}
        return replace(self, **given)

    def to_json(self) -> dict[str, Any]:
        """Return all parameters as JSON data, including those that have their default."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


RANGES: Mapping[str, NumberRange | WordList] = {
    "temperature": NumberRange(float, 0, 2),
    "top_k": NumberRange(int, 0, 1000),
    "top_p": NumberRange(float, 0, 1),
    "min_p": NumberRange(float, 0, 1),
    "typical_p": NumberRange(float, 0, 1),
    "repetition_penalty": NumberRange(float, 1, 2),
    "presence_penalty": NumberRange(float, -2, 2),
    "frequency_penalty": NumberRange(float, -2, 2),
    "penalty_range": NumberRange(int, 0, 4096),
    "dry_multiplier": NumberRange(float, 0, 5),
    "dry_base": NumberRange(float, 1, 4),
    "dry_allowed_length": NumberRange(int, 1, 20),
    "xtc_probability": NumberRange(float, 0, 1),
    "xtc_threshold": NumberRange(float, 0, 0.5),
    "no_repeat_ngram": NumberRange(int, 0, 20),
    "banned_words": WordList(count=32, length=40),
    "seed": NumberRange(int, 0, 2**53 - 1, nullable=True),
    "min_length": NumberRange(int, 0, 2**31 - 1),
    "stop_at_end": NumberRange(bool, 0, 1),
    "pace": NumberRange(int, 10, 6000, nullable=True),
}


def check(name: str, value: object) -> None:
    """Raise InvalidSamplingParam if there is no parameter `name`, or if it may not have this value."""
    allowed = RANGES.get(name)
    if allowed is None:
        raise InvalidSamplingParam(f"There is no sampling parameter {name[:_SHOWN_NAME_CHARACTERS]!r}.")
    allowed.check(name, value)
