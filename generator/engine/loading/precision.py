"""Precision: in which number format a model computes, chosen by its speed and its error on this machine.

Owns the bound on the error and the choice. Knows nothing of slots, sequences or how a format computes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F

from generator.engine.networks.network import Network
from generator.engine.networks.runner import BatchItem

# The beginning of Alice's Adventures in Wonderland (1865), in the public domain.
PASSAGE = (Path(__file__).parent / "passage.txt").read_text(encoding="utf-8")

MAX_DIVERGENCE = 0.02
MIN_AGREEMENT = 0.97
# What is not clearly faster than exact is not worth an error.
_MIN_GAIN = 1.15
_COUNTS = (1, 16)


class MeasuredNetwork(Network, Protocol):
    def passage_logits(self, token_ids: AnySequence[int]) -> torch.Tensor:
        """The logits `[tokens, vocabulary]` at every position of a text."""
        ...


class QuantizedNetwork(MeasuredNetwork, Protocol):
    @property
    def formats(self) -> tuple[str, ...]:
        """Those it can compute in, fastest first."""
        ...

    def use(self, name: str) -> None:
        """Compute in one of them from now on."""
        ...


@dataclass(frozen=True, slots=True)
class PrecisionError:
    """Over the passage: mean Kullback-Leibler divergence from fp32, and how often the best token is the same."""

    divergence: float
    agreement: float

    @property
    def is_within_bound(self) -> bool:
        return self.divergence <= MAX_DIVERGENCE and self.agreement >= MIN_AGREEMENT


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """A format, and its error."""

    name: str
    error: PrecisionError = PrecisionError(0.0, 1.0)

    def __str__(self) -> str:
        if self.name == "fp32":
            return self.name
        return f"{self.name} (KL {self.error.divergence:.4f}, same best token {self.error.agreement:.1%})"


def choose(exact: MeasuredNetwork, rounded: QuantizedNetwork, token_ids: AnySequence[int]) -> PrecisionChoice:
    """The fastest format of `rounded` that is within the bound on the passage `token_ids`, which it computes in from
    now on, if it is clearly faster than `exact`; `fp32` otherwise."""
    choice = choose_rounded(exact, rounded, token_ids)
    if not choice.error.is_within_bound:
        return PrecisionChoice("fp32")
    gain = 1.0
    for count in _COUNTS:
        gain *= seconds(exact, count) / seconds(rounded, count)
    return choice if gain >= _MIN_GAIN ** len(_COUNTS) else PrecisionChoice("fp32")


def choose_rounded(exact: MeasuredNetwork, rounded: QuantizedNetwork, token_ids: AnySequence[int]) -> PrecisionChoice:
    """The same, however fast; if none is within the bound, the last, which has the least error."""
    with torch.inference_mode():
        expected = exact.passage_logits(token_ids)
        for name in rounded.formats:
            rounded.use(name)
            choice = PrecisionChoice(name, compare(rounded.passage_logits(token_ids), expected))
            if choice.error.is_within_bound:
                break
    return choice


def compare(computed: torch.Tensor, exact: torch.Tensor) -> PrecisionError:
    """Both are `[positions, vocabulary]`."""
    of_computed, of_exact = F.log_softmax(computed.float(), -1), F.log_softmax(exact.float(), -1)
    divergence = (of_exact.exp() * (of_exact - of_computed)).sum(-1).mean()
    agreement = (of_exact.argmax(-1) == of_computed.argmax(-1)).float().mean()
    return PrecisionError(max(0.0, float(divergence)), float(agreement))


def seconds(network: Network, num_rows: int) -> float:
    """What a step of so many sequences takes, the least of a few tries."""
    slots = network.new_slots(num_rows, 8)
    rows = [BatchItem(slot, [slot], 0, True) for slot in range(num_rows)]
    tries = []
    for _ in range(4):
        begin = time.perf_counter()
        with torch.inference_mode():
            # A GPU has only begun until somebody asks for what it computed.
            network.logits(rows, slots, lambda: False).cpu()
        tries.append(time.perf_counter() - begin)
    return min(tries)
