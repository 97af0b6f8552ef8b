"""Scheduler: chooses the tokens that the next step computes, and the sequences that own the slots.

A step has a token budget, which all sequences share (continuous batching). Owns fairness between owners, then between
their drafts. Pure: knows neither tensors nor time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from itertools import groupby

from generator.engine.networks.runner import DEFAULT_SLOTS, SEQUENCE_SLOTS
from generator.engine.scheduling.lookahead_window import LookaheadWindow, begin_lookahead
from generator.engine.scheduling.sequence import Phase, Sequence
from generator.engine.tokens.window import common_prefix

# A sequence keeps a new slot until it has written this many tokens, because each slot rotation costs the computation
# of a whole window.
ROTATION_TOKENS = 64
# While an owner with one draft gets one token, an owner with many drafts gets at most this many. A larger number uses
# the steps better, a smaller one is fairer.
OWNER_LEAD = 4 / 3


@dataclass(frozen=True, slots=True)
class ScheduledChunk:
    """Compute `count` tokens of the sequence from `num_computed` on. With `wants_logits` they are the last ones."""

    sequence: Sequence
    count: int
    wants_logits: bool


class Scheduler:
    """Begins with `num_slots` slots. While all are taken and `may_grow` returns true, it adds slots."""

    def __init__(self, num_slots: int, may_grow: Callable[[], bool] = lambda: False) -> None:
        self._slot_owners: list[Sequence | None] = [None] * num_slots
        self._may_grow = may_grow
        self._lookaheads: dict[Sequence, LookaheadWindow] = {}
        self._step = self._served = 0

    @property
    def num_slots(self) -> int:
        """The number of slots that may have been used."""
        return len(self._slot_owners)

    def schedule(
        self, sequences: Iterable[Sequence], token_budget: int, paced_idle: AnySequence[Sequence] = ()
    ) -> list[ScheduledChunk]:
        """Return the chunks of the next step, at most `token_budget` tokens, or no chunks if nothing is pending.

        The `paced_idle` sequences lend their slots, in this order, if no other slot is free.
        """
        self._step += 1
        waiting = [sequence for sequence in sequences if sequence.phase in (Phase.PREFILL, Phase.DECODE)]
        self._assign_slots(waiting, paced_idle)
        ready = [sequence for sequence in waiting if sequence.slot is not None]
        chunks = [_chunk(sequence, count) for sequence, count in self._shares(ready, token_budget)]
        chunks += self._lookahead_chunks(chunks, token_budget - sum(chunk.count for chunk in chunks))
        for chunk in chunks:
            # All numbers differ, so that the order of a step is also the order of the next one.
            self._served += 1
            chunk.sequence.last_served = self._served
            chunk.sequence.slot_tokens += chunk.wants_logits
        return chunks

    def release(self, sequence: Sequence) -> None:
        """Free the sequence's slot and end its lookahead window. Its computed tokens are lost."""
        if sequence.slot is not None:
            self._slot_owners[sequence.slot] = None
        sequence.slot, sequence.num_computed = None, 0
        if sequence in self._lookaheads:
            self.release(self._lookaheads.pop(sequence))

    def switch_to_lookahead(self, sequence: Sequence) -> None:
        """Continue in the lookahead window's slot after a roll, if more tokens are computed there."""
        lookahead = self._lookaheads.pop(sequence, None)
        if lookahead is None:
            return
        computed = min(
            *(lookahead.num_computed, len(sequence.token_ids) - 1),
            common_prefix(lookahead.token_ids, sequence.token_ids),
        )
        if computed > sequence.num_computed and sequence.slot is not None and lookahead.slot is not None:
            self._slot_owners[sequence.slot], self._slot_owners[lookahead.slot] = lookahead, sequence
            sequence.slot, lookahead.slot = lookahead.slot, sequence.slot
            sequence.num_computed = computed
        self.release(lookahead)

    def acquire(self, sequence: Sequence, paced_idle: AnySequence[Sequence] = ()) -> bool:
        """Give the sequence a slot if one is free, or if the sequence that holds one is idle or in `paced_idle`."""
        return self._give(self._slot_for_sequence(paced_idle), sequence)

    def _shares(self, ready: AnySequence[Sequence], token_budget: int) -> list[tuple[Sequence, int]]:
        """Return the sequences to compute with their numbers of tokens.

        Owners share the budget equally. Each owner's share goes to its sequences in the order of `_priority`.
        """
        owned: dict[str, list[Sequence]] = {}
        for sequence in sorted(ready, key=lambda s: s.last_served):
            owned.setdefault(sequence.owner, []).append(sequence)
        budgets = share([sum(s.num_pending for s in group) for group in owned.values()], token_budget)
        decode_limit = self._decode_limit(owned.values())
        shares: list[tuple[Sequence, int]] = []
        for group, budget in zip(owned.values(), budgets, strict=True):
            for _, equals in groupby(sorted(group, key=_priority), key=_priority):
                ranked = list(equals)
                if ranked[0].phase is Phase.DECODE:
                    ranked = ranked[:decode_limit]
                counts = share([s.num_pending for s in ranked], budget)
                budget -= sum(counts)
                shares += [(s, count) for s, count in zip(ranked, counts, strict=True) if count]
        return shares

    def _decode_limit(self, groups: Iterable[AnySequence[Sequence]]) -> int:
        """Return how many sequences of one owner may decode in this step.

        On average this is `OWNER_LEAD` times the number of sequences of the owner with the fewest. One more item costs
        a step little, but many items of one owner would slow down all other owners.
        """
        fewest = min(map(len, groups), default=0)
        return int(OWNER_LEAD * fewest * self._step) - int(OWNER_LEAD * fewest * (self._step - 1))

    def _lookahead_chunks(self, chunks: AnySequence[ScheduledChunk], token_budget: int) -> list[ScheduledChunk]:
        """Spend the rest of the budget on the lookahead windows of the sequences that decode in this step."""
        for sequence in [s for s, lookahead in self._lookaheads.items() if lookahead.current is not s.window]:
            self.release(self._lookaheads.pop(sequence))  # An edit has replaced the window.
        found = []
        decoding = [chunk.sequence for chunk in chunks if chunk.wants_logits]
        for sequence in sorted(decoding, key=lambda s: s.window.limit - len(s.token_ids)):
            lookahead = self._lookaheads.get(sequence) or self._begin_lookahead(sequence)
            if lookahead is not None and (count := min(lookahead.catch_up(), token_budget)) > 0:
                token_budget -= count
                found.append(ScheduledChunk(lookahead, count, False))
        return found

    def _begin_lookahead(self, sequence: Sequence) -> LookaheadWindow | None:
        lookahead = begin_lookahead(sequence)
        if lookahead is None or not self._give(self._slot_for_lookahead(), lookahead):
            return None
        self._lookaheads[sequence] = lookahead
        return lookahead

    def _assign_slots(self, waiting: AnySequence[Sequence], paced_idle: AnySequence[Sequence]) -> None:
        without = sorted((s for s in waiting if s.slot is None), key=lambda s: (not s.is_edited, s.last_served))
        is_full = False
        for sequence in without:
            # A slot rotation frees no slot, so after the first failure all later sequences must rotate, too.
            is_full = is_full or not self.acquire(sequence, paced_idle)
            if is_full:
                self._rotate_slot(sequence)

    def _slot_for_sequence(self, paced_idle: AnySequence[Sequence]) -> int | None:
        """Return a free slot, a new one, or the one of the latest lookahead window.

        At the maximum number of slot owners, return the slot of the sequence that is idle for the longest time, or of
        the first `paced_idle` sequence that has one.
        """
        num_owners = sum(owner is not None for owner in self._slot_owners) - len(self._lookaheads)
        while num_owners >= self._max_slot_owners and self._may_grow():
            self._slot_owners.append(None)
        if num_owners >= self._max_slot_owners:
            idle = self._idle_slot()
            return next((s.slot for s in paced_idle if s.slot is not None), None) if idle is None else idle
        if None not in self._slot_owners:
            self.release(self._lookaheads.popitem()[1])
        return self._slot_owners.index(None)

    @property
    def _max_slot_owners(self) -> int:
        """The maximum number of sequences with a slot. The other slots are reserved for lookahead windows."""
        return max(min(self.num_slots, SEQUENCE_SLOTS), self.num_slots * SEQUENCE_SLOTS // DEFAULT_SLOTS)

    def _slot_for_lookahead(self) -> int | None:
        """Return a free slot, or the longest idle sequence's if no slot is reserved for lookahead windows.

        Otherwise idle sequences keep their slots, because their users probably type and continue in a moment.
        """
        if None in self._slot_owners:
            return self._slot_owners.index(None)
        return self._idle_slot() if len(self._slot_owners) == self._max_slot_owners else None

    def _idle_slot(self) -> int | None:
        """Return the slot of the sequence that is paused or stopped for the longest time."""
        idle = [s for s in self._sequences_with_slot() if s.phase in (Phase.PAUSED, Phase.STOPPED)]
        return min(idle, key=lambda s: s.last_served).slot if idle else None

    def _sequences_with_slot(self) -> list[Sequence]:
        return [s for s in self._slot_owners if s is not None and not isinstance(s, LookaheadWindow)]

    def _rotate_slot(self, sequence: Sequence) -> None:
        """Give the sequence a slot of the owner with the most slots, if that is fair.

        It is fair at once if that owner has two slots more than the sequence's owner. It is also fair if the slot's
        sequence has written `ROTATION_TOKENS` tokens.
        """
        by_owner: dict[str, list[Sequence]] = {}
        for other in self._sequences_with_slot():
            by_owner.setdefault(other.owner, []).append(other)
        own_slots = len(by_owner.get(sequence.owner, ()))
        richest = max(by_owner, key=lambda owner: (len(by_owner[owner]), owner == sequence.owner))
        replaced = max(by_owner[richest], key=lambda s: (s.slot_tokens, -s.last_served))
        is_unequal = len(by_owner[richest]) > own_slots + 1
        is_due = replaced.slot_tokens >= ROTATION_TOKENS and len(by_owner[richest]) >= own_slots
        if is_unequal or is_due:
            self._give(replaced.slot, sequence)

    def _give(self, slot: int | None, sequence: Sequence) -> bool:
        """Make the sequence the owner of the slot. Return False if `slot` is None."""
        if slot is None:
            return False
        if (previous := self._slot_owners[slot]) is not None:
            self.release(previous)
        self._slot_owners[slot] = sequence
        sequence.slot, sequence.num_computed, sequence.slot_tokens = slot, 0, 0
        return True


def share(demands: AnySequence[int], amount: int) -> list[int]:
    """Split `amount` max-min fairly: no demand is exceeded, and the smallest shares are as large as possible.

    An indivisible rest goes to earlier entries.
    """
    shares = [0] * len(demands)
    order = sorted(range(len(demands)), key=lambda i: (demands[i], -i))
    for position, i in enumerate(order):
        shares[i] = min(demands[i], amount // (len(order) - position))
        amount -= shares[i]
    return shares


def _priority(sequence: Sequence) -> int:
    """The order in a step: edited contexts, then sequences that decode, then other prefills."""
    if sequence.phase is Phase.DECODE:
        return 1
    return 0 if sequence.is_edited else 2


def _chunk(sequence: Sequence, count: int) -> ScheduledChunk:
    return ScheduledChunk(sequence, count, sequence.num_computed + count == len(sequence.token_ids))
