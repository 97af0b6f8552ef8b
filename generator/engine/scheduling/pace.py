"""Pace: how long a sequence waits between two tokens, so that its words come evenly at so many a minute.

Owns how many tokens a word takes, and who waits long enough to lend its slot. Pure; knows nothing of clocks or steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from generator.engine.scheduling.sequence import Sequence
from generator.engine.tokens.vocabulary import WORD

# Tokens of the page that are looked at. A text that only begins counts as usual English at first.
_REACH = 256
_USUAL_TOKENS, _USUAL_WORDS = 16, 12


def token_seconds(sequence: Sequence) -> float:
    """The time from one token to the next; 0 without a pace. All tokens of a page's last words share it equally."""
    pace = sequence.orders.sampling.pace
    if pace is None:
        return 0.0
    starts, written = sequence.vocabulary.starts, sequence.token_ids[-_REACH:]
    words = sum(starts[token_id] == WORD for token_id in written)
    return 60 / pace * (words + _USUAL_WORDS) / (len(written) + _USUAL_TOKENS)


def resting(sequences: Iterable[Sequence], seconds_for: Callable[[int], float], now: float) -> list[Sequence]:
    """Those who wait longer for their next token than computing all of theirs takes; who waits longest comes first."""
    found = [s for s in sequences if s.ready_at - now > seconds_for(len(s.token_ids))]
    return sorted(found, key=lambda s: -s.ready_at)
