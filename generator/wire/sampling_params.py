"""Sampling settings: names, ranges and defaults, in one table that payloads, engine, page and docs share.

Knows nothing of tensors; what each setting does to the distribution is in `generator/engine/sampling/sampler.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any


class InvalidSamplingParam(ValueError):
    """A setting is unknown, of the wrong type or out of range; the message says which and what is allowed."""


@dataclass(frozen=True, slots=True)
class Range:
    type: type
    low: float
    high: float
    nullable: bool = False

    def check(self, name: str, value: object) -> None:
        """Raises InvalidSampling."""
        if value is None and self.nullable:
            return
        is_bool = isinstance(value, bool)
        if self.type is bool:
            if not is_bool:
                raise InvalidSamplingParam(f"{name} must be true or false")
            return
        number = isinstance(value, int) or (self.type is float and isinstance(value, float))
        if is_bool or not number or not self.low <= value <= self.high:  # type: ignore[operator]
            kind = "a whole number" if self.type is int else "a number"
            null = ", or null" if self.nullable else ""
            raise InvalidSamplingParam(f"{name} must be {kind} from {self.low:g} to {self.high:.16g}{null}")


@dataclass(frozen=True, slots=True)
class Words:
    """A list of words or phrases, each one line of at most `length` characters."""

    count: int
    length: int

    def check(self, name: str, value: object) -> None:
        """Raises InvalidSampling."""
        if not isinstance(value, list | tuple) or len(value) > self.count or not all(map(self._fits, value)):
            raise InvalidSamplingParam(
                f"{name} must be a list of at most {self.count} words or phrases, each of 1 to {self.length} "
                "characters without line breaks and without blanks around it"
            )

    def _fits(self, word: object) -> bool:
        return isinstance(word, str) and 0 < len(word) <= self.length and word.isprintable() and word == word.strip()


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How a draft writes. Temperature 0 is greedy; `top_k` 0, `top_p`, `typical_p` and `repetition_penalty` 1, and
    0 for every other penalty are off.

    `penalty_range` is how many of the last tokens repetition, presence and frequency penalty look at.
    `seed` None draws a fresh seed for every run. `min_length` counts model tokens of the run's text that
    must come before an end is allowed; it only matters with `stop_at_end`. `pace` is in words per minute; None is
    as fast as it goes.
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
        """These settings with `changes` merged in. Raises InvalidSampling; then nothing changes."""
        for name, value in changes.items():
            check(name, value)
        given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in changes.items()}
        return replace(self, **given)

    def to_json(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


RANGES: Mapping[str, Range | Words] = {
    "temperature": Range(float, 0, 2),
    "top_k": Range(int, 0, 1000),
    "top_p": Range(float, 0, 1),
    "min_p": Range(float, 0, 1),
    "typical_p": Range(float, 0, 1),
    "repetition_penalty": Range(float, 1, 2),
    "presence_penalty": Range(float, -2, 2),
    "frequency_penalty": Range(float, -2, 2),
    "penalty_range": Range(int, 0, 4096),
    "dry_multiplier": Range(float, 0, 5),
    "dry_base": Range(float, 1, 4),
    "dry_allowed_length": Range(int, 1, 20),
    "xtc_probability": Range(float, 0, 1),
    "xtc_threshold": Range(float, 0, 0.5),
    "no_repeat_ngram": Range(int, 0, 20),
    "banned_words": Words(count=32, length=40),
    "seed": Range(int, 0, 2**53 - 1, nullable=True),
    "min_length": Range(int, 0, 2**31 - 1),
    "stop_at_end": Range(bool, 0, 1),
    "pace": Range(int, 10, 6000, nullable=True),
}


def check(name: str, value: object) -> None:
    """Raises InvalidSampling."""
    allowed = RANGES.get(name)
    if allowed is None:
        raise InvalidSamplingParam(f"there is no sampling setting {name!r}")
    allowed.check(name, value)
