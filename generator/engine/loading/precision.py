"""Precision: the choice of the number format that a model computes in, by its speed and its error on this machine.

Owns the bound on the error, the two measurements and the choice. Knows nothing of slots, sequences or how a format
computes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
import torch.nn.functional as F

from generator.engine.networks.network import Network
from generator.engine.networks.runner import BatchItem

# The beginning of Alice's Adventures in Wonderland (1865), which is in the public domain.
PASSAGE = (Path(__file__).parent / "passage.txt").read_text(encoding="utf-8")

MAX_DIVERGENCE = 0.02
MIN_AGREEMENT = 0.97
# A format with an error is chosen only if it is this much faster than fp32, as a geometric mean over the batch sizes.
_MIN_SPEEDUP = 1.15
_BATCH_SIZES = (1, 16)
_TIMED_STEPS = 4


class MeasuredNetwork(Network, Protocol):
    """A network whose error can be measured."""

    def passage_logits(self, token_ids: AnySequence[int]) -> torch.Tensor:
        """Return the logits `[tokens, vocabulary]` at every position of a passage."""
        ...


# The names of the formats other than fp32, fastest first, each with a function that returns the network in this format.
# Only the network that was returned last is valid, because the formats of a network may share its weights.
Formats = Mapping[str, Callable[[], MeasuredNetwork]]


@dataclass(frozen=True, slots=True)
class PrecisionError:
    """The error of a format over a passage.

    `divergence` is the mean Kullback-Leibler divergence from fp32. `agreement` is the share of positions at which the
    best token is the same.
    """

    divergence: float
    agreement: float

    @property
    def is_within_bound(self) -> bool:
        return self.divergence <= MAX_DIVERGENCE and self.agreement >= MIN_AGREEMENT


@dataclass(frozen=True, slots=True)
class PrecisionChoice:
    """A format and its error."""

    name: str
    error: PrecisionError = PrecisionError(0.0, 1.0)

    def __str__(self) -> str:
        if self.name == "fp32":
            return self.name
        return f"{self.name} (KL {self.error.divergence:.4f}, same best token {self.error.agreement:.1%})"


def choose_precision(exact: MeasuredNetwork, formats: Formats, token_ids: AnySequence[int]) -> PrecisionChoice:
    """Return the fastest format whose error on the passage `token_ids` is within the bound.

    Return fp32 if no format is within the bound, or if the format is not clearly faster than `exact`.
    """
    choice = choose_format(exact, formats, token_ids)
    if not choice.error.is_within_bound:
        return PrecisionChoice("fp32")
    network = formats[choice.name]()
    speedup = 1.0
    for batch_size in _BATCH_SIZES:
        speedup *= step_seconds(exact, batch_size) / step_seconds(network, batch_size)
    return choice if speedup >= _MIN_SPEEDUP ** len(_BATCH_SIZES) else PrecisionChoice("fp32")


def choose_format(exact: MeasuredNetwork, formats: Formats, token_ids: AnySequence[int]) -> PrecisionChoice:
    """Return the first format whose error on the passage is within the bound, regardless of its speed.

    If no format is within the bound, return the last one, which has the smallest error.
    """
    with torch.inference_mode():
        expected = exact.passage_logits(token_ids)
        for name, open_format in formats.items():
            choice = PrecisionChoice(name, measure_error(open_format().passage_logits(token_ids), expected))
            if choice.error.is_within_bound:
                break
    return choice


def measure_error(computed: torch.Tensor, exact: torch.Tensor) -> PrecisionError:
    """Return the error of the logits `computed`. Both arguments are `[positions, vocabulary]`."""
    log_computed, log_exact = F.log_softmax(computed.float(), -1), F.log_softmax(exact.float(), -1)
    divergence = (log_exact.exp() * (log_exact - log_computed)).sum(-1).mean()
    agreement = (log_exact.argmax(-1) == log_computed.argmax(-1)).float().mean()
    return PrecisionError(max(0.0, float(divergence)), float(agreement))


def step_seconds(network: Network, batch_size: int) -> float:
    """Return the shortest time of several steps that each decode one token of `batch_size` sequences."""
    slots = network.new_slots(batch_size, 8)
    items = [BatchItem(slot, [slot], 0, True) for slot in range(batch_size)]
    times = []
    for _ in range(_TIMED_STEPS):
        begin = time.perf_counter()
        with torch.inference_mode():
            # Copying the result waits until a GPU has computed it.
            network.logits(items, slots, lambda: False).cpu()
        times.append(time.perf_counter() - begin)
    return min(times)
