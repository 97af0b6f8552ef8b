"""Fairness: the numbers of tokens that drafts and owners get from the loop with the fake model."""

from __future__ import annotations

from collections import Counter

import pytest

from generator.engine.networks.fake import FakeRunner
from generator.wire.messages import Chunk, Set
from tests.generator.engine.engine_loop import MODEL, SteppedEngine
from tests.generator.engine.engine_process import GREEDY, a_set

WINDOW = 128  # small, so that windows roll often


def commands(drafts: dict[str, int]) -> list[Set]:
    names = [(owner, f"{owner}{n}") for owner, count in drafts.items() for n in range(count)]
    return [
        a_set(
            *("Once upon a time",),
            sequence=name,
            owner=owner,
            model=MODEL,
            sampling=GREEDY.merged({"temperature": 1, "seed": number}),
            budget=10**6,
        )
        for number, (owner, name) in enumerate(names)
    ]


def written(drafts: dict[str, int], steps: int = 400, step_tokens: int = 64) -> Counter[str]:
    engine = SteppedEngine(FakeRunner(WINDOW))
    budget = engine.model.step_budget
    budget.tokens = budget._low = budget._high = step_tokens
    engine.send(*commands(drafts))
    for _ in range(steps):
        engine.step()
    counts: Counter[str] = Counter()
    for event in engine.events:
        if isinstance(event, Chunk):
            counts[event.sequence] += len(event.tokens)
    return counts


@pytest.mark.parametrize("drafts", [{"a": 16}, {chr(97 + n): 1 for n in range(16)}], ids=["one owner", "sixteen"])
def test_equal_drafts_write_equal_numbers_of_tokens(drafts: dict[str, int]) -> None:
    counts = written(drafts)
    assert len(counts) == 16
    assert min(counts.values()) >= 0.9 * max(counts.values())


@pytest.mark.parametrize("step_tokens", [16, 64])
def test_an_owner_with_one_draft_gets_nearly_half_beside_an_owner_with_fifteen(step_tokens: int) -> None:
    counts = written({"a": 1, "b": 15}, step_tokens=step_tokens)
    others = [tokens for name, tokens in counts.items() if name != "a0"]
    assert counts["a0"] >= 0.4 * sum(counts.values())
    assert min(others) >= 0.9 * max(others)
    assert len(others) == 15
