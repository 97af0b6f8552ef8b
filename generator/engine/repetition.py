"""Repetition: what the tokens that stand on the page already change about the next one.

Owns the penalties for what was said before and the ban on repeated n-grams. All of it is computed from the window's
tokens, so that an edit counts at once and nothing has to be kept. Knows nothing of temperature or chance.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from generator.sampling_settings import SamplingSettings

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# A longer repetition is punished like this one: by far enough.
_LONGEST = 50
_NONE: Ids = np.empty(0, dtype=np.int64)


def penalize(scores: Floats, settings: SamplingSettings, history: Ids, breakers: Flags) -> None:
    """Changes `scores` in place: repetition, presence and frequency penalty, then DRY."""
    recent = history[max(0, len(history) - settings.penalty_range) :]
    is_counted = settings.presence_penalty != 0 or settings.frequency_penalty != 0
    if len(recent) and (is_counted or settings.repetition_penalty != 1):
        seen, counts = np.unique(recent, return_counts=True)
        values, penalty = scores[seen], np.float32(settings.repetition_penalty)
        values = np.where(values < 0, values * penalty, values / penalty)
        scores[seen] = values - settings.presence_penalty - settings.frequency_penalty * counts.astype(np.float32)
    if settings.dry_multiplier:
        ids, lengths = repeats(history, breakers)
        long = lengths >= settings.dry_allowed_length
        excess = (lengths[long] - settings.dry_allowed_length).astype(np.float32)
        scores[ids[long]] -= np.float32(settings.dry_multiplier) * np.float32(settings.dry_base) ** excess


def repeats(history: Ids, breakers: Flags) -> tuple[Ids, Ids]:
    """The tokens that would prolong a repetition, each once, and how many tokens before it are repeated already.

    No repetition reaches across a breaker, and none is prolonged by one."""
    end = len(history) - 1
    if end < 1 or breakers[history[end]]:
        return _NONE, _NONE
    places = np.flatnonzero(history[:end] == history[end])
    places = places[~breakers[history[places + 1]]]
    lengths = np.ones(len(places), dtype=np.int64)
    same = np.arange(len(places))
    for back in range(1, min(_LONGEST, end)):
        if breakers[history[end - back]]:
            break
        same = same[places[same] >= back]
        same = same[history[places[same] - back] == history[end - back]]
        if not len(same):
            break
        lengths[same] += 1
    # The longest comes last for each token, and the last one is kept.
    order = np.argsort(lengths, kind="stable")
    longest = dict(zip(history[places[order] + 1].tolist(), lengths[order].tolist(), strict=True))
    return np.array([*longest], dtype=np.int64), np.array([*longest.values()], dtype=np.int64)


def completing_ngrams(history: Ids, size: int) -> Ids:
    """The tokens that would complete an n-gram of `size` tokens that is there already."""
    if size == 0 or len(history) < size:
        return _NONE
    matching = np.ones(len(history) - size + 1, dtype=np.bool_)
    for offset in range(size - 1):
        wanted = history[len(history) - size + 1 + offset]
        matching &= history[offset : offset + len(matching)] == wanted
    return history[np.flatnonzero(matching) + size - 1]
