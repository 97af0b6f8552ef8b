"""Grouped attention: the attention of one batch, with the items ordered so that many of them share a call.

Sequences that decode and own neighbouring slots attend together, unless their lengths differ so much that the padding
costs more than another call. Owns the order of the tokens, the places of their keys and values, and the groups. Knows
nothing of models.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from generator.engine.networks.kv_cache import KVCache
from generator.engine.networks.runner import BatchItem, Interrupted

# One call costs about as much as attending to this many positions of one sequence.
_CALL_POSITIONS = 128


@dataclass(frozen=True, slots=True)
class _Group:
    """Tokens `[begin, end)` of the step: one token each of `count` slots from `first_slot` on, or several of one slot.

    `length` is the number of positions that the longest item attends to.
    """

    begin: int
    end: int
    first_slot: int
    count: int
    length: int
    mask: torch.Tensor | None


class GroupedAttention:
    """The attention of a batch.

    `token_ids` and `positions` are the tokens in the order of the step. `wanted` are the places of the last tokens of
    the items that want logits, in the order of the items.
    """

    def __init__(
        self, cache: KVCache, items: AnySequence[BatchItem], should_stop: Callable[[], bool], num_heads: int
    ) -> None:
        self._cache = cache
        self._num_heads = num_heads
        self._should_stop = should_stop
        ordered = sorted(items, key=lambda item: (len(item.token_ids) > 1, item.slot))
        device = cache.device
        self.token_ids = torch.tensor([token_id for item in ordered for token_id in item.token_ids], device=device)
        positions = [item.start + offset for item in ordered for offset in range(len(item.token_ids))]
        self.positions = torch.tensor(positions, device=device)
        slots = torch.tensor([item.slot for item in ordered for _ in item.token_ids], device=device)
        self._rows = cache.row_indices(slots, self.positions)
        ends = dict(zip((item.slot for item in ordered), _running_ends(ordered), strict=True))
        wanted = [ends[item.slot] - 1 for item in items if item.wants_logits]
        self.wanted = torch.tensor(wanted, dtype=torch.long, device=device)
        self._groups = _groups(ordered, cache)

    def attend(self, layer: int, qkv: torch.Tensor) -> torch.Tensor:
        """Attend with `qkv` `[tokens, heads + 2 * kv_heads, head_dim]`. Return `[tokens, heads * head_dim]`.

        Raise Interrupted once `should_stop` returns true.
        """
        if self._should_stop():
            raise Interrupted
        queries = qkv[:, : self._num_heads]
        self._cache.scatter(layer, self._rows, qkv[:, self._num_heads :])
        attended = [self._attend_group(layer, group, queries[group.begin : group.end]) for group in self._groups]
        return attended[0] if len(attended) == 1 else torch.cat(attended)

    def _attend_group(self, layer: int, group: _Group, query: torch.Tensor) -> torch.Tensor:
        keys, values = self._cache.read_slots(layer, group.first_slot, group.count, group.length)
        num_tokens, num_heads, head_dim = query.shape
        if num_tokens == group.count:
            # The query heads of one key head take the place of the tokens of a query, because all of them may see
            # the same positions.
            queries = query.view(num_tokens, keys.shape[1], -1, head_dim)
            attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=group.mask)
        else:
            has_groups = num_heads != keys.shape[1]
            attended = F.scaled_dot_product_attention(
                query.transpose(0, 1)[None], keys, values, attn_mask=group.mask, enable_gqa=has_groups
            ).transpose(1, 2)
        return attended.reshape(num_tokens, -1)


def _running_ends(items: AnySequence[BatchItem]) -> list[int]:
    ends, end = [], 0
    for item in items:
        end += len(item.token_ids)
        ends.append(end)
    return ends


def _groups(items: AnySequence[BatchItem], cache: KVCache) -> list[_Group]:
    """Split `items` into groups. Items of one token come first, ordered by slot."""
    gathered: list[list[BatchItem]] = []
    for item in items:
        if gathered and _may_join(gathered[-1], item):
            gathered[-1].append(item)
        else:
            gathered.append([item])
    groups, begin = [], 0
    for members in gathered:
        end = begin + sum(len(item.token_ids) for item in members)
        lengths = [item.start + len(item.token_ids) for item in members]
        mask = _causal_mask(members[0]) if len(members[0].token_ids) > 1 else _length_mask(lengths)
        if mask is not None:
            mask = mask.to(cache.device, cache.dtype)
        groups.append(_Group(begin, end, members[0].slot, len(members), max(lengths), mask))
        begin = end
    return groups


def _may_join(members: AnySequence[BatchItem], item: BatchItem) -> bool:
    """Whether `item` decodes in the slot after the last member's, and padding it costs at most another call."""
    if len(item.token_ids) > 1 or len(members[-1].token_ids) > 1 or item.slot != members[-1].slot + 1:
        return False
    longest = max(member.start for member in members)
    padding = (item.start - longest) * len(members) if item.start > longest else longest - item.start
    return padding <= _CALL_POSITIONS


def _length_mask(lengths: AnySequence[int]) -> torch.Tensor | None:
    """Return a mask `[items, 1, 1, longest]` to add to the scores, or None if all lengths are equal."""
    longest = max(lengths)
    if min(lengths) == longest:
        return None
    hidden = torch.arange(longest) >= torch.tensor(lengths)[:, None]
    return torch.zeros(hidden.shape).masked_fill_(hidden, -torch.inf)[:, None, None]


def _causal_mask(item: BatchItem) -> torch.Tensor:
    """Return a mask `[tokens, start + tokens]` to add to the scores."""
    count = len(item.token_ids)
    return torch.full((count, item.start + count), -torch.inf).triu_(item.start + 1)
