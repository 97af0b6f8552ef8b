"""View: what other threads may read of a live draft.

Owns nothing. It is immutable. The draft replaces it when a batch is stored and again when the turn ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from stories.draft.state import DraftState


@dataclass(frozen=True, slots=True)
class DraftView:
    """The draft's state, and its phase in one word, as lists and the status line show it."""

    state: DraftState
    phase: str

    @property
    def num_words(self) -> int:
        """The number of words in the text."""
        return len(self.state.text.split())
