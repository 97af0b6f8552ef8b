"""Shadow: a sequence's next window, computed a few tokens a step while the present one fills up.

When that is full, the sequence goes on in its shadow's slot, and nobody waits for half a window. Owns when a shadow
begins and how much of it a step computes. Pure: knows neither slots nor who shares a step.
"""

from __future__ import annotations

from dataclasses import dataclass

from generator.engine.scheduling.sequence import Sequence
from generator.engine.tokens.window import Window

# The part of a window that is left when its shadow begins.
_SPAN = 8


@dataclass(eq=False, kw_only=True)
class LookaheadWindow(Sequence):
    """Never writes. `of` is the window it follows, `taken` how many of that one's text tokens it has."""

    of: Window
    taken: int

    @property
    def num_pending(self) -> int:
        return len(self.token_ids) - self.num_computed

    def follow(self) -> int:
        """Take in what was written meanwhile. Returns how many tokens to compute now, so as to be in time."""
        for at in range(self.taken, self.of.num_text):
            self.window.append(self.of.token_ids[self.of.num_head + at], self.of.lengths[at])
        self.taken = self.of.num_text
        steps = max(1, self.of.limit - len(self.of.token_ids))
        return -(-self.num_pending // steps)


def begin_shadow(sequence: Sequence) -> LookaheadWindow | None:
    """A shadow for the sequence, if it is time and the next window's base is certain."""
    window = sequence.window
    ahead = window.ahead() if window.limit - len(window.token_ids) <= window.size // _SPAN else None
    if ahead is None:
        return None
    return LookaheadWindow(
        *(sequence.id, sequence.owner, sequence.orders, ahead, sequence.vocabulary),
        budget=0,
        of=window,
        taken=window.num_text,
    )
