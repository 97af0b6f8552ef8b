"""Scheduler: which tokens of which sequences the next step computes, and who holds the slots.

There is no prefill phase and no decode phase: a step's token budget lets `num_computed` catch up with the
tokens a sequence has. Fair by owner, then by draft. Pure: knows neither tensors nor time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass

from generator.engine.networks.runner import DEFAULT_SLOTS, SEQUENCE_SLOTS
from generator.engine.scheduling.lookahead_window import LookaheadWindow, begin_shadow
from generator.engine.scheduling.sequence import Sequence
from generator.engine.tokens.window import common_prefix

# A sequence that got a slot keeps it until it wrote this many tokens: taking turns costs recomputing a
# window each time.
TURN_TOKENS = 64
# An owner with many drafts gets this many tokens for one of an owner with a single one: between fair and thrifty.
OWNER_LEAD = 4 / 3


@dataclass(frozen=True, slots=True)
class ScheduledChunk:
    """Compute `count` tokens of the sequence, from `num_computed` on; they are the last ones if `wants_logits`."""

    sequence: Sequence
    count: int
    wants_logits: bool


class Scheduler:
    """There are `num_slots` slots at first, and one more whenever all are taken and `may_grow` says so."""

    def __init__(self, num_slots: int, may_grow: Callable[[], bool] = lambda: False) -> None:
        self._holders: list[Sequence | None] = [None] * num_slots
        self._may_grow = may_grow
        self._shadows: dict[Sequence, LookaheadWindow] = {}
        self._resting: AnySequence[Sequence] = ()
        self._step = self._served = 0

    @property
    def num_slots(self) -> int:
        """How many slots may have been used."""
        return len(self._holders)

    def schedule(
        self, sequences: Iterable[Sequence], token_budget: int, resting: AnySequence[Sequence] = ()
    ) -> list[ScheduledChunk]:
        """The next step's work, at most `token_budget` tokens; empty when nobody needs anything.

        `resting` may lend their slots, in this order: they want nothing for long enough to be computed again."""
        self._step += 1
        self._resting = resting
        waiting = [sequence for sequence in sequences if sequence.num_pending > 0]
        self._assign_slots(waiting)
        ready = [sequence for sequence in waiting if sequence.slot is not None]
        works = [self._work(sequence, count) for sequence, count in self._shares(ready, token_budget)]
        works += self._shadow_works(works, token_budget - sum(work.count for work in works))
        for work in works:
            # No two alike: whoever comes later in a step comes later in the next one, too.
            self._served += 1
            work.sequence.last_served = self._served
            work.sequence.turn_tokens += work.wants_logits
        return works

    def release(self, sequence: Sequence) -> None:
        """Take the sequence's slot; what was computed is lost."""
        if sequence.slot is not None:
            self._holders[sequence.slot] = None
        sequence.slot, sequence.num_computed = None, 0
        if sequence in self._shadows:
            self.release(self._shadows.pop(sequence))

    def rolled(self, sequence: Sequence) -> None:
        """The sequence's window moved: it goes on where its shadow is, if that has more of it."""
        shadow = self._shadows.pop(sequence, None)
        if shadow is None:
            return
        ready = min(
            *(shadow.num_computed, len(sequence.token_ids) - 1),
            common_prefix(shadow.token_ids, sequence.token_ids),
        )
        if ready > sequence.num_computed and sequence.slot is not None and shadow.slot is not None:
            self._holders[sequence.slot], self._holders[shadow.slot] = shadow, sequence
            sequence.slot, shadow.slot = shadow.slot, sequence.slot
            sequence.num_computed = ready
        self.release(shadow)

    def acquire(self, sequence: Sequence) -> bool:
        """Give the sequence a slot if one is free or its holder has nothing to do."""
        slot = self._slot_for_shadow() if isinstance(sequence, LookaheadWindow) else self._slot_for_holder()
        if slot is not None:
            self._give(slot, sequence)
        return slot is not None

    def _work(self, sequence: Sequence, count: int) -> ScheduledChunk:
        is_last = sequence.num_computed + count == len(sequence.token_ids)
        return ScheduledChunk(sequence, count, is_last)

    def _shares(self, ready: AnySequence[Sequence], token_budget: int) -> list[tuple[Sequence, int]]:
        """Who computes how many tokens: the budget shared equally by owners, then within each owner's share
        edited sequences first, then one token for each that decodes and whose turn it is, then prefills."""
        owned: dict[str, list[Sequence]] = {}
        for sequence in sorted(ready, key=lambda s: s.last_served):
            owned.setdefault(sequence.owner, []).append(sequence)
        budgets = share([sum(s.num_pending for s in group) for group in owned.values()], token_budget)
        most = self._most_decoding(owned.values())
        shares: list[tuple[Sequence, int]] = []
        for group, budget in zip(owned.values(), budgets, strict=True):
            for rank, limit in ((_is_edit, None), (_is_decode, most), (_is_prefill, None)):
                ranked = [s for s in group if rank(s)][:limit]
                counts = share([s.num_pending for s in ranked], budget)
                budget -= sum(counts)
                shares += [(s, count) for s, count in zip(ranked, counts, strict=True) if count]
        return shares

    def _most_decoding(self, groups: Iterable[AnySequence[Sequence]]) -> int:
        """How many sequences of one owner may decode in this step: on average `OWNER_LEAD` for each one of the owner
        with fewest. A row more costs a step little, but many rows of one owner would make all others slow."""
        fewest = min(map(len, groups), default=0)
        return int(OWNER_LEAD * fewest * self._step) - int(OWNER_LEAD * fewest * (self._step - 1))

    def _shadow_works(self, works: AnySequence[ScheduledChunk], token_budget: int) -> list[ScheduledChunk]:
        """Compute ahead for those of `works` whose window is nearly full, with what the step has left."""
        for sequence in [s for s, shadow in self._shadows.items() if shadow.of is not s.window]:
            self.release(self._shadows.pop(sequence))  # It was edited.
        found = []
        writing = [work.sequence for work in works if work.wants_logits]
        for sequence in sorted(writing, key=lambda s: s.window.limit - len(s.token_ids)):
            shadow = self._shadows.get(sequence) or self._begin_shadow(sequence)
            if shadow is not None and (count := min(shadow.follow(), token_budget)) > 0:
                token_budget -= count
                found.append(ScheduledChunk(shadow, count, False))
        return found

    def _begin_shadow(self, sequence: Sequence) -> LookaheadWindow | None:
        shadow = begin_shadow(sequence)
        if shadow is None or not self.acquire(shadow):
            return None
        self._shadows[sequence] = shadow
        return shadow

    def _assign_slots(self, waiting: AnySequence[Sequence]) -> None:
        without = sorted((s for s in waiting if s.slot is None), key=lambda s: (not s.is_edited, s.last_served))
        are_all_busy = False
        for sequence in without:
            # Whoever takes a turn wants a slot, so none comes free for those who come after.
            are_all_busy = are_all_busy or not self.acquire(sequence)
            if are_all_busy:
                self._take_turn(sequence)

    def _slot_for_holder(self) -> int | None:
        """An empty slot, if need be a new one or the latest shadow's; else that of who has been idle for longest, or
        rests."""
        num_holders = sum(holder is not None for holder in self._holders) - len(self._shadows)
        while num_holders >= self._most_holders and self._may_grow():
            self._holders.append(None)
        if num_holders >= self._most_holders:
            idle = self._idle_slot()
            return next((s.slot for s in self._resting if s.slot is not None), None) if idle is None else idle
        if None not in self._holders:
            self.release(self._shadows.popitem()[1])
        return self._holders.index(None)

    @property
    def _most_holders(self) -> int:
        """How many sequences may have a slot that are no shadows."""
        return max(min(self.num_slots, SEQUENCE_SLOTS), self.num_slots * SEQUENCE_SLOTS // DEFAULT_SLOTS)

    def _slot_for_shadow(self) -> int | None:
        """An empty one: who is idle may only be typing, and goes on in a moment. Where none is kept for shadows, the
        slot of who has been idle for longest."""
        if None in self._holders:
            return self._holders.index(None)
        return self._idle_slot() if len(self._holders) == self._most_holders else None

    def _idle_slot(self) -> int | None:
        idle = [s for s in self._holders if s is not None and s.num_pending <= 0 and not isinstance(s, LookaheadWindow)]
        return min(idle, key=lambda s: s.last_served).slot if idle else None

    def _take_turn(self, sequence: Sequence) -> None:
        """Relieve a holder of the owner with most slots: at once if that owner has two more than ours,
        else when the holder's turn is over."""
        held: dict[str, list[Sequence]] = {}
        for holder in self._holders:
            if holder is not None and not isinstance(holder, LookaheadWindow):
                held.setdefault(holder.owner, []).append(holder)
        mine = len(held.get(sequence.owner, ()))
        richest = max(held, key=lambda owner: (len(held[owner]), owner == sequence.owner))
        holder = max(held[richest], key=lambda s: (s.turn_tokens, -s.last_served))
        is_unequal = len(held[richest]) > mine + 1
        is_over = holder.turn_tokens >= TURN_TOKENS and len(held[richest]) >= mine
        if (is_unequal or is_over) and holder.slot is not None:
            self._give(holder.slot, sequence)

    def _give(self, slot: int, sequence: Sequence) -> None:
        holder = self._holders[slot]
        if holder is not None:
            self.release(holder)
        self._holders[slot] = sequence
        sequence.slot, sequence.num_computed, sequence.turn_tokens = slot, 0, 0


def share(demands: AnySequence[int], amount: int) -> list[int]:
    """`amount` shared so that nobody gets more than demanded and the least served get equally much;
    what does not divide goes to those who come first."""
    shares = [0] * len(demands)
    order = sorted(range(len(demands)), key=lambda i: (demands[i], -i))
    for position, i in enumerate(order):
        shares[i] = min(demands[i], amount // (len(order) - position))
        amount -= shares[i]
    return shares


def _is_edit(sequence: Sequence) -> bool:
    return sequence.is_edited and sequence.num_pending > 1


def _is_decode(sequence: Sequence) -> bool:
    return sequence.num_pending == 1


def _is_prefill(sequence: Sequence) -> bool:
    return not sequence.is_edited and sequence.num_pending > 1
