"""Precision: in which number format a model computes, chosen by its speed and its error on this machine.

Owns the formats on offer, the bound on their error and the choice. Knows nothing of slots or sequences.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from generator.engine import linear
from generator.engine.forward import Forward, linears_of
from generator.engine.grouped_attention import GroupedAttention
from generator.engine.kv_cache import KVCache
from generator.engine.packed_network import PackedNetwork
from generator.engine.rotation import rotate
from generator.engine.runner import Row

# The beginning of Alice's Adventures in Wonderland (1865), in the public domain.
PASSAGE = (Path(__file__).parent / "passage.txt").read_text(encoding="utf-8")

MAX_DIVERGENCE = 0.02
MIN_AGREEMENT = 0.97
# What is not clearly faster than exact is not worth an error.
_MIN_GAIN = 1.15
_FEW, _MANY = 1, 16


@dataclass(frozen=True, slots=True)
class Recipe:
    """A packer for each of a layer's linear layers and for the head."""

    qkv: linear.Packer
    output: linear.Packer
    up: linear.Packer
    down: linear.Packer
    head: linear.Packer


_INT8, _FINE = linear.pack_int8, linear.pack_int8_fine
# Where fine weights matter most, by measuring one kind of layer at a time: docs/lab_log.md.
_MIXED = Recipe(_FINE, _INT8, linear.pack_int8_fine_rows, _FINE, _FINE)
RECIPES: Mapping[str, Recipe] = {
    "fp32": Recipe(*[linear.pack_fp32] * 5),
    "bf16": Recipe(*[linear.pack_bf16] * 5),
    "int8": Recipe(*[_INT8] * 5),
    "int8 fine": _MIXED,
}


@dataclass(frozen=True, slots=True)
class Error:
    """Over the passage: mean Kullback-Leibler divergence from fp32, and how often the best token is the same."""

    divergence: float
    agreement: float

    @property
    def is_within_bound(self) -> bool:
        return self.divergence <= MAX_DIVERGENCE and self.agreement >= MIN_AGREEMENT


@dataclass(frozen=True, slots=True)
class Choice:
    """Formats for few and for many rows, and the larger of their errors."""

    few: str
    many: str
    error: Error

    def __str__(self) -> str:
        if self.few == self.many == "fp32":
            return "fp32"
        formats = self.few if self.few == self.many else f"{self.few}, {self.many} for many rows"
        return f"{formats} (KL {self.error.divergence:.4f}, same best token {self.error.agreement:.1%})"


def pack(forward: Forward, few: str, many: str) -> None:
    """Compute in those formats from now on. Weights for eight bits are rotated first."""
    if forward.stream is None and (few.startswith("int8") or many.startswith("int8")):
        rotate(forward)
    by_few, by_many = RECIPES[few], RECIPES[many]
    for layer in forward.layers:
        layer.qkv.pack(by_few.qkv, by_many.qkv)
        layer.output.pack(by_few.output, by_many.output)
        layer.up.pack(by_few.up, by_many.up)
        layer.down.pack(by_few.down, by_many.down)
    forward.head.pack(by_few.head, by_many.head)


def choose(network: PackedNetwork, token_ids: AnySequence[int]) -> Choice:
    """The fastest formats whose error on the passage `token_ids` is within the bound. The network's weights may
    be rotated meanwhile; in which format it computes afterwards is open."""
    exact = passage_logits(network, token_ids)
    few, many = {"fp32": seconds(network, _FEW)}, {"fp32": seconds(network, _MANY)}
    errors = {"fp32": Error(0.0, 1.0)}
    for name in ("bf16", "int8", "int8 fine"):
        pack(network.forward, name, name)
        in_time = {count: seconds(network, count) for count in (_FEW, _MANY)}
        if in_time[_FEW] * _MIN_GAIN > few["fp32"] and in_time[_MANY] * _MIN_GAIN > many["fp32"]:
            continue
        errors[name] = compare(passage_logits(network, token_ids), exact)
        if errors[name].is_within_bound:
            few[name], many[name] = in_time[_FEW], in_time[_MANY]
    chosen = _fastest(few), _fastest(many)
    return Choice(*chosen, max((errors[name] for name in chosen), key=lambda error: error.divergence))


def measure(network: PackedNetwork, token_ids: AnySequence[int], name: str) -> Choice:
    """That format, whatever its error is; the network computes in it from now on."""
    exact = passage_logits(network, token_ids)
    pack(network.forward, name, name)
    return Choice(name, name, compare(passage_logits(network, token_ids), exact))


def _fastest(times: Mapping[str, float]) -> str:
    best = min(times, key=times.__getitem__)
    return best if times[best] * _MIN_GAIN <= times["fp32"] else "fp32"


def compare(computed: torch.Tensor, exact: torch.Tensor) -> Error:
    """Both are `[positions, vocabulary]`."""
    of_computed, of_exact = F.log_softmax(computed, -1), F.log_softmax(exact, -1)
    divergence = (of_exact.exp() * (of_exact - of_computed)).sum(-1).mean()
    agreement = (of_exact.argmax(-1) == of_computed.argmax(-1)).float().mean()
    return Error(max(0.0, float(divergence)), float(agreement))


def passage_logits(network: PackedNetwork, token_ids: AnySequence[int]) -> torch.Tensor:
    """The logits `[tokens, vocabulary]` at every position."""
    forward, cache = network.forward, _cache(network, 1, len(token_ids))
    with torch.inference_mode():
        step = GroupedAttention(cache, [Row(0, token_ids, 0, True)], lambda: False, forward.num_heads)
        return forward.logits(forward.hidden(step.token_ids, step.positions, step.attend))


def forget_weights(forward: Forward) -> None:
    """Once packed for good: give the memory of the weights back."""
    for each in linears_of(forward):
        each.forget()


def seconds(network: PackedNetwork, num_rows: int) -> float:
    """What a step of so many sequences takes, the least of a few tries."""
    cache = _cache(network, num_rows, 8)
    rows = [Row(slot, [slot], 0, True) for slot in range(num_rows)]
    tries = []
    for _ in range(4):
        begin = time.perf_counter()
        with torch.inference_mode():
            network.logits(rows, cache, lambda: False)
        tries.append(time.perf_counter() - begin)
    return min(tries)


def _cache(network: PackedNetwork, num_slots: int, window: int) -> KVCache:
    return KVCache(network.layers, num_slots, window, network.dtype, network.device)
