"""Repetition: the logits processors that look at the tokens of the window so far.

Owns the penalties for repeated tokens, DRY (the penalty for repeated passages) and the ban on repeated n-grams. All of
them are computed from the window's tokens, so that an edit takes effect at once and no state is kept. Knows nothing of
temperature or noise.
"""

from __future__ import annotations

import numpy as np

from generator.engine.sampling.arrays import NO_IDS, Flags, Floats, Ids
from generator.wire.sampling_params import SamplingParams

# A longer repeated passage counts as one of this length. The penalty is more than large enough then.
_MAX_LENGTH = 50


def penalize(scores: Floats, params: SamplingParams, history: Ids, breakers: Flags) -> None:
    """Apply the repetition, presence and frequency penalties, then DRY, to `scores` in place."""
    recent = history[max(0, len(history) - params.penalty_range) :]
    is_counted = params.presence_penalty != 0 or params.frequency_penalty != 0
    if len(recent) and (is_counted or params.repetition_penalty != 1):
        recent = np.sort(recent) if params.frequency_penalty else recent
        penalty = np.float32(params.repetition_penalty)
        values = scores[recent]
        # The penalty is at least 1, so that the minimum multiplies negative scores and divides positive ones.
        values = np.minimum(values * penalty, values / penalty) - np.float32(params.presence_penalty)
        if params.frequency_penalty:
            counts = recent.searchsorted(recent, "right") - recent.searchsorted(recent)
            values -= np.float32(params.frequency_penalty) * counts.astype(np.float32)
        # A repeated token has the same value at each of its places, so that the assignment is well defined.
        scores[recent] = values
    if params.dry_multiplier:
        ids, lengths = repeats(history, breakers, params.dry_allowed_length)
        if not len(ids):
            return
        excess = (lengths - params.dry_allowed_length).astype(np.float32)
        scores[ids] -= np.float32(params.dry_multiplier) * np.float32(params.dry_base) ** excess


def repeats(history: Ids, breakers: Flags, least: int) -> tuple[Ids, Ids]:
    """Return the tokens that would extend a repeated passage, and the length of that passage in tokens.

    Passages shorter than `least` are left out. A token that would extend several passages occurs once for each, the
    longest last, so that an assignment by token keeps the longest. No passage contains a breaker, and no breaker
    extends one.
    """
    end = len(history) - 1
    if end < 1 or breakers[history[end]]:
        return NO_IDS, NO_IDS
    same = (history[:end] == history[end]).nonzero()[0]
    places = lengths = NO_IDS
    length = 0
    while len(same):
        length += 1
        if length == least:
            places, lengths = same, np.zeros(end, dtype=np.int64)
        if length >= least:
            lengths[same] = length
        if length == _MAX_LENGTH or breakers[history[end - length]]:
            break
        # Only the first place can be nearer to the beginning of the history than `length`.
        same = same[1:] if same[0] < length else same
        same = same[history[same - length] == history[end - length]]
    if not len(places):
        return NO_IDS, NO_IDS
    places = places[~breakers[history[places + 1]]]
    places = places[lengths[places].argsort()]
    return history[places + 1], lengths[places]


def completing_ngrams(history: Ids, size: int) -> Ids:
    """Return the tokens that would complete an n-gram of `size` tokens that the history already contains."""
    if size == 0 or len(history) < size:
        return NO_IDS
    matching = np.ones(len(history) - size + 1, dtype=np.bool_)
    for offset in range(size - 1):
        wanted = history[len(history) - size + 1 + offset]
        matching &= history[offset : offset + len(matching)] == wanted
    return history[np.flatnonzero(matching) + size - 1]
