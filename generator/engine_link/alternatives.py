"""Alternatives: a question to the engine for the likeliest tokens at a place, and its answer in the page's offsets.

Owns the mapping of the place to the context that is sent. Knows nothing of threads.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from generator.engine_link.order import SequenceName, context_of, premise_of, reachable_base
from generator.models.menu import MenuEntry
from generator.wire.messages import Alternatives, AlternativesReady
from stories.draft.state import DraftState
from stories.errors import Refused
from stories.text.update import Update


@dataclass(frozen=True, slots=True)
class Question:
    """`command` asks the engine; its answer counts from offset `base` of the text at `revision`."""

    command: Alternatives
    revision: int
    base: int

    def answer(self, ready: AlternativesReady) -> dict[str, Any]:
        """Return the body of the acknowledgement. Raises Refused where the engine could not answer."""
        if ready.error:
            raise Refused("invalid", ready.error)
        return {
            "revision": self.revision,
            "range": [self.base + ready.start, self.base + ready.end],
            "options": [{"text": text, "probability": probability} for text, probability in ready.options],
        }


def question(state: DraftState, name: SequenceName, entry: MenuEntry, over: tuple[Update, ...], at: int) -> Question:
    """Return the question for offset `at` of the text before `over`. Raises Refused."""
    at = state.place(at, over, 1)
    base = reachable_base(state, entry.spec.window)
    if at < base:
        base = 0
    context = context_of(state, base, entry.spec.window, whole=True)
    request, premise = secrets.token_hex(8), premise_of(state, name.mode, entry)
    command = Alternatives(request, name.draft, entry.spec, premise, context.before, context.pieces, at - base)
    return Question(command, state.revision, base)
