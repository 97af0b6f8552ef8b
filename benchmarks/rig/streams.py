"""Tokens a second: the engine's forward pass, and `transformers.generate` on the same weights."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import PreTrainedModel

from generator.engine.networks.model_runner import ModelRunner
from generator.engine.networks.runner import BatchItem

SHORT, LONG = 64, 768
# Eight tokens were too few: two runs on the same quiet machine differed by a third.
TOKENS, CHUNK = 24, 256


def never() -> bool:
    """The abort check of a forward pass that always runs to its end."""
    return False


def decode(runner: ModelRunner, streams: int, context: int, tokens: int = TOKENS) -> float:
    """Tokens per second of `streams` sequences together, decoded greedily after `context` tokens each."""
    _fill(runner, context)
    for slot in range(1, streams):
        runner.copy_slot(0, slot, context)
    newest = [5] * streams
    begin = time.perf_counter()
    for step in range(tokens):
        items = [BatchItem(slot, [newest[slot]], context + step, True) for slot in range(streams)]
        newest = [int(logits.argmax()) for logits in runner.forward(items, never)]
    return streams * tokens / (time.perf_counter() - begin)


def prefill(runner: ModelRunner) -> float:
    """Tokens per second of a prefill of `LONG` tokens, in chunks."""
    begin = time.perf_counter()
    _fill(runner, LONG)
    return LONG / (time.perf_counter() - begin)


def _fill(runner: ModelRunner, context: int) -> None:
    for past in range(0, context, CHUNK):
        count = min(CHUNK, context - past)
        runner.forward([BatchItem(0, range(100, 100 + count), past, past + count == context)], never)


def generate(model: PreTrainedModel, context: int, tokens: int = TOKENS) -> float:
    """Tokens per second of one sequence by `transformers.generate`, without its prefill."""
    # transformers declares no type for it that fits its own models.
    run: Any = model.generate
    token_ids = torch.arange(100, 100 + context, device=model.device)[None]

    def seconds(count: int) -> float:
        begin = time.perf_counter()
        run(
            token_ids,
            attention_mask=torch.ones_like(token_ids),
            min_new_tokens=count,
            max_new_tokens=count,
            do_sample=False,
            pad_token_id=0,
        )
        return time.perf_counter() - begin

    return tokens / (seconds(tokens + 1) - seconds(1))


def rounds_of(measurements: dict[str, Callable[[], float]], count: int) -> dict[str, list[float]]:
    """Run all measurements in turn, `count` times, so that other load on the machine affects all of them alike."""
    found: dict[str, list[float]] = {name: [] for name in measurements}
    for _ in range(count):
        for name, measure in measurements.items():
            found[name].append(round(measure(), 1))
    return found


def medians(rounds: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in rounds.items()}
