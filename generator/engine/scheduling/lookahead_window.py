"""Lookahead window: a sequence's next window, computed a few tokens per step before the present one is full.

When the present window is full, the sequence continues in the lookahead window's slot, so that no step has to compute
half a window at once. Owns when a lookahead window begins and how many of its tokens a step computes. Pure: knows
nothing of slots or of the other sequences in a step.
"""

from __future__ import annotations

from dataclasses import dataclass

from generator.engine.scheduling.sequence import Sequence
from generator.engine.tokens.window import Window

# A lookahead window begins when this part of the present window is still free: one eighth.
_FREE_PART = 8


@dataclass(eq=False, kw_only=True)
class LookaheadWindow(Sequence):
    """A sequence that is computed but never writes.

    `current` is the window that it follows. `num_copied` is the number of that window's text tokens that it has.
    """

    current: Window
    num_copied: int

    @property
    def num_pending(self) -> int:
        """The number of tokens to compute, which does not depend on a budget."""
        return len(self.token_ids) - self.num_computed

    def catch_up(self) -> int:
        """Copy the new tokens of the current window. Return the number of tokens to compute in this step.

        An equal number in each step completes the lookahead window when the current window is full.
        """
        for index in range(self.num_copied, self.current.num_text):
            self.window.append(self.current.token_ids[self.current.num_head + index], self.current.lengths[index])
        self.num_copied = self.current.num_text
        steps = max(1, self.current.limit - len(self.current.token_ids))
        return -(-self.num_pending // steps)


def begin_lookahead(sequence: Sequence) -> LookaheadWindow | None:
    """Return a lookahead window if the present window is nearly full and the base of the next one is certain."""
    window = sequence.window
    is_nearly_full = window.limit - len(window.token_ids) <= window.size // _FREE_PART
    next_window = window.next_window() if is_nearly_full else None
    if next_window is None:
        return None
    return LookaheadWindow(
        *(sequence.id, sequence.owner, sequence.params, next_window, sequence.vocabulary),
        budget=0,
        current=window,
        num_copied=window.num_text,
    )
