"""Repetition: what the tokens that stand on the page already change about the next one.

Owns the penalties for what was said before and the ban on repeated n-grams. All of it is computed from the window's
tokens, so that an edit counts at once and nothing has to be kept. Knows nothing of temperature or chance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from generator.wire.sampling_params import SamplingParams

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# A longer repetition is punished like this one: by far enough.
_LONGEST = 50
_NONE: Ids = np.empty(0, dtype=np.int64)


def penalize(scores: Floats, settings: SamplingParams, history: Ids, breakers: Flags) -> None:
    """Changes `scores` in place: repetition, presence and frequency penalty, then DRY."""
    recent = history[max(0, len(history) - settings.penalty_range) :]
    is_counted = settings.presence_penalty != 0 or settings.frequency_penalty != 0
    if len(recent) and (is_counted or settings.repetition_penalty != 1):
        recent = np.sort(recent) if settings.frequency_penalty else recent
        penalty = np.float32(settings.repetition_penalty)
        values = scores[recent]
        # At least 1, it lowers what is below zero as a factor and what is above as a divisor.
        values = np.minimum(values * penalty, values / penalty) - np.float32(settings.presence_penalty)
        if settings.frequency_penalty:
            counts = recent.searchsorted(recent, "right") - recent.searchsorted(recent)
            values -= np.float32(settings.frequency_penalty) * counts.astype(np.float32)
        # A token that was said more than once gets the same value more than once.
        scores[recent] = values
    if settings.dry_multiplier:
        ids, lengths = repeats(history, breakers, settings.dry_allowed_length)
        if not len(ids):
            return
        excess = (lengths - settings.dry_allowed_length).astype(np.float32)
        scores[ids] -= np.float32(settings.dry_multiplier) * np.float32(settings.dry_base) ** excess


def repeats(history: Ids, breakers: Flags, least: int) -> tuple[Ids, Ids]:
    """The tokens that would prolong a repetition, and how many tokens before them are repeated already, at `least` so
    many. A token that would prolong several is there again for each, the longest last: it counts where one assigns.

    No repetition reaches across a breaker, and none is prolonged by one."""
    end = len(history) - 1
    if end < 1 or breakers[history[end]]:
        return _NONE, _NONE
    same = (history[:end] == history[end]).nonzero()[0]
    places = lengths = _NONE
    length = 0
    while len(same):
        length += 1
        if length == least:
            places, lengths = same, np.zeros(end, dtype=np.int64)
        if length >= least:
            lengths[same] = length
        if length == _LONGEST or breakers[history[end - length]]:
            break
        # Only the first place can be so near to the beginning.
        same = same[1:] if same[0] < length else same
        same = same[history[same - length] == history[end - length]]
    if not len(places):
        return _NONE, _NONE
    places = places[~breakers[history[places + 1]]]
    places = places[lengths[places].argsort()]
    return history[places + 1], lengths[places]


def completing_ngrams(history: Ids, size: int) -> Ids:
    """The tokens that would complete an n-gram of `size` tokens that is there already."""
    if size == 0 or len(history) < size:
        return _NONE
    matching = np.ones(len(history) - size + 1, dtype=np.bool_)
    for offset in range(size - 1):
        wanted = history[len(history) - size + 1 + offset]
        matching &= history[offset : offset + len(matching)] == wanted
    return history[np.flatnonzero(matching) + size - 1]
