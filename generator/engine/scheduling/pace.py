"""Pace: the time between two tokens of a sequence, so that its words appear evenly at a number of words per minute.

Owns the estimate of tokens per word, and which paced sequences wait long enough to lend their slot. Pure: knows nothing
of clocks or steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from generator.engine.scheduling.sequence import Sequence
from generator.engine.tokens.vocabulary import WORD

# The estimate looks at this many of the last tokens. It adds a prior of usual English for texts that only begin.
_REACH = 256
_PRIOR_TOKENS, _PRIOR_WORDS = 16, 12


def token_seconds(sequence: Sequence) -> float:
    """Return the time between two tokens, or 0 without a pace. All tokens of the last words get the same time."""
    pace = sequence.params.sampling.pace
    if pace is None:
        return 0.0
    starts, written = sequence.vocabulary.starts, sequence.token_ids[-_REACH:]
    words = sum(starts[token_id] == WORD for token_id in written)
    return 60 / pace * (words + _PRIOR_WORDS) / (len(written) + _PRIOR_TOKENS)


def paced_idle(sequences: Iterable[Sequence], seconds_for: Callable[[int], float], now: float) -> list[Sequence]:
    """Return the sequences that can lend their slot, the one with the longest wait first.

    `seconds_for` is the time to compute a number of tokens. A sequence can lend its slot if its wait for
    the next token is longer than recomputing all its tokens.
    """
    idle = [s for s in sequences if s.ready_at - now > seconds_for(len(s.token_ids))]
    return sorted(idle, key=lambda s: -s.ready_at)
