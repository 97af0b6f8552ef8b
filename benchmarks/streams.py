"""How many tokens a second the engine's forward makes, beside `transformers.generate` on the same weights."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from generator.engine.model_runner import ModelRunner
from generator.engine.runner import Row

CONTEXT, TOKENS = 64, 8


def never() -> bool:
    return False


def decode(runner: ModelRunner, streams: int) -> float:
    """Tokens per second of so many sequences together, greedy, after a context of 64 tokens each."""
    runner.forward([Row(slot, range(100, 100 + CONTEXT), 0, False) for slot in range(streams)], never)
    newest = [5] * streams
    begin = time.perf_counter()
    for step in range(TOKENS):
        rows = [Row(slot, [newest[slot]], CONTEXT + step, True) for slot in range(streams)]
        newest = [int(row.argmax()) for row in runner.forward(rows, never)]
    return streams * TOKENS / (time.perf_counter() - begin)


def prefill(runner: ModelRunner, chunk: int = 64, chunks: int = 3) -> float:
    """Tokens per second of a context that is computed in chunks."""
    begin = time.perf_counter()
    for number in range(chunks):
        runner.forward([Row(0, range(100, 100 + chunk), number * chunk, number == chunks - 1)], never)
    return chunk * chunks / (time.perf_counter() - begin)


def generate(model: PreTrainedModel) -> float:
    """Tokens per second of one sequence by transformers."""
    context = torch.arange(100, 100 + CONTEXT)[None]
    begin = time.perf_counter()
    model.generate(  # type: ignore[operator]
        context,
        attention_mask=torch.ones_like(context),
        min_new_tokens=TOKENS,
        max_new_tokens=TOKENS,
        do_sample=False,
        pad_token_id=0,
    )
    return TOKENS / (time.perf_counter() - begin)


def medians(measurements: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """All are measured in turn, again and again, so that what else the machine does meets all of them."""
    found: dict[str, list[float]] = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measure in measurements.items():
            found[name].append(measure())
    return {name: round(statistics.median(values), 1) for name, values in found.items()}
