"""Pace: how long a sequence waits between two tokens, so that its words come evenly at so many a minute.

Owns how many tokens a word takes. Pure; knows nothing of clocks or steps.
"""

from __future__ import annotations

from generator.engine.sequence import Sequence
from generator.engine.vocabulary import WORD

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
