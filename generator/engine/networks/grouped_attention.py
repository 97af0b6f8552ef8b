"""Grouped attention: one step's rows in an order in which many can attend at once.

Owns that order, where keys and values go, and which rows share a call. Sequences that decode and hold neighbouring
slots attend together, unless their lengths differ so much that filling up costs more. Knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from generator.engine.networks.kv_cache import KVCache
from generator.engine.networks.runner import BatchItem, Interrupted

# A call costs about as much as this many positions of one sequence.
_CALL_POSITIONS = 128


@dataclass(frozen=True, slots=True)
class _Group:
    """Tokens `[begin, end)` of the step: one each of `count` slots from `first` on, or several of one slot."""

    begin: int
    end: int
    first: int
    count: int
    length: int
    mask: torch.Tensor | None


class GroupedAttention:
    """`token_ids` and `positions` are the step's tokens in its order; `wanted` are those of the rows that want
    logits, in the rows' order."""

    def __init__(
        self, cache: KVCache, rows: AnySequence[BatchItem], should_stop: Callable[[], bool], num_heads: int
    ) -> None:
        self._cache = cache
        self._num_heads = num_heads
        self._should_stop = should_stop
        ordered = sorted(rows, key=lambda row: (len(row.token_ids) > 1, row.slot))
        device = cache.device
        self.token_ids = torch.tensor([token_id for row in ordered for token_id in row.token_ids], device=device)
        positions = [row.past + offset for row in ordered for offset in range(len(row.token_ids))]
        self.positions = torch.tensor(positions, device=device)
        slots = torch.tensor([row.slot for row in ordered for _ in row.token_ids], device=device)
        self._lines = cache.lines_of(slots, self.positions)
        ends = dict(zip((row.slot for row in ordered), _running_ends(ordered), strict=True))
        wanted = [ends[row.slot] - 1 for row in rows if row.wants_logits]
        self.wanted = torch.tensor(wanted, dtype=torch.long, device=device)
        self._groups = _groups(ordered, cache)

    def attend(self, layer: int, qkv: torch.Tensor) -> torch.Tensor:
        """`qkv` is `[tokens, heads + 2 * kv_heads, head_dim]`. Returns `[tokens, heads * head_dim]`."""
        if self._should_stop():
            raise Interrupted
        queries = qkv[:, : self._num_heads]
        self._cache.scatter(layer, self._lines, qkv[:, self._num_heads :])
        attended = [self._attend_group(layer, group, queries[group.begin : group.end]) for group in self._groups]
        return attended[0] if len(attended) == 1 else torch.cat(attended)

    def _attend_group(self, layer: int, group: _Group, query: torch.Tensor) -> torch.Tensor:
        keys, values = self._cache.read_slots(layer, group.first, group.count, group.length)
        num_tokens, num_heads, head_dim = query.shape
        if num_tokens == group.count:
            # Heads that share a key stand where several tokens would: all of them may see everything.
            queries = query.view(num_tokens, keys.shape[1], -1, head_dim)
            attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=group.mask)
        else:
            has_groups = num_heads != keys.shape[1]
            attended = F.scaled_dot_product_attention(
                query.transpose(0, 1)[None], keys, values, attn_mask=group.mask, enable_gqa=has_groups
            ).transpose(1, 2)
        return attended.reshape(num_tokens, -1)


def _running_ends(rows: AnySequence[BatchItem]) -> list[int]:
    ends, end = [], 0
    for row in rows:
        end += len(row.token_ids)
        ends.append(end)
    return ends


def _groups(rows: AnySequence[BatchItem], cache: KVCache) -> list[_Group]:
    """`rows` are ordered: those with one token first, by slot."""
    gathered: list[list[BatchItem]] = []
    for row in rows:
        if gathered and _fits(gathered[-1], row):
            gathered[-1].append(row)
        else:
            gathered.append([row])
    groups, begin = [], 0
    for members in gathered:
        end = begin + sum(len(row.token_ids) for row in members)
        lengths = [row.past + len(row.token_ids) for row in members]
        mask = _causal_mask(members[0]) if len(members[0].token_ids) > 1 else _length_mask(lengths)
        if mask is not None:
            mask = mask.to(cache.device, cache.dtype)
        groups.append(_Group(begin, end, members[0].slot, len(members), max(lengths), mask))
        begin = end
    return groups


def _fits(members: AnySequence[BatchItem], row: BatchItem) -> bool:
    """Whether attending together costs less than a call more."""
    if len(row.token_ids) > 1 or len(members[-1].token_ids) > 1 or row.slot != members[-1].slot + 1:
        return False
    longest = max(member.past for member in members)
    filled = (row.past - longest) * len(members) if row.past > longest else longest - row.past
    return filled <= _CALL_POSITIONS


def _length_mask(lengths: AnySequence[int]) -> torch.Tensor | None:
    """`[rows, 1, 1, longest]`, added to the scores."""
    longest = max(lengths)
    if min(lengths) == longest:
        return None
    hidden = torch.arange(longest) >= torch.tensor(lengths)[:, None]
    return torch.zeros(hidden.shape).masked_fill_(hidden, -torch.inf)[:, None, None]


def _causal_mask(row: BatchItem) -> torch.Tensor:
    """`[tokens, past + tokens]`, added to the scores."""
    count = len(row.token_ids)
    return torch.full((count, row.past + count), -torch.inf).triu_(row.past + 1)
