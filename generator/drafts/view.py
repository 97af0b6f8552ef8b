"""View: what other threads may read of a live draft.

Owns nothing: it is immutable, and the draft replaces it after each of its turns.
"""

from __future__ import annotations

from dataclasses import dataclass

from stories.draft.state import DraftState


@dataclass(frozen=True, slots=True)
class DraftView:
    """The draft's state after its last turn, and its phase in one word, as lists and the status line show it."""

    state: DraftState
    phase: str

    @property
    def num_words(self) -> int:
        """The number of words in the text."""
        return len(self.state.text.split())
