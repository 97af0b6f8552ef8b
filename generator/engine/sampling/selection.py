"""Selection: the places of the highest numbers of an array, without sorting all of it.

Owns the shortlists, which keep sorting cheap for arrays as wide as a vocabulary. Knows nothing of tokens or sampling
parameters.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from generator.engine.sampling.arrays import Floats, Ids

# A finite number below every score.
LOWEST = float(np.finfo(np.float32).min)
# A shortlist holds the keys at most this far below the highest key. The next shortlist reaches further.
_REACHES = (4.0, 12.0, math.inf)
# Of a shortlist with more keys than this, the highest are sorted first.
_MAX_SORTED = 4096


def highest(keys: Floats, count: int) -> Ids:
    """Return the places of the `count` highest keys, highest first."""
    for places in _shortlists(keys, LOWEST, count):
        if len(places) >= count:
            break
    return places[:count]


def fewest(keys: Floats, weights: Floats, mass: float, floor: float = LOWEST) -> Ids:
    """Return the fewest places, by falling key, whose weights add up to at least `mass` of the sum of all weights.

    Places with a key below `floor` are left out.
    """
    wanted = mass * total(weights)
    for places in _shortlists(keys, floor, _MAX_SORTED):
        enough = at_least(weights[places].cumsum(dtype=np.float64), wanted)
        if len(enough):
            return places[: enough[0] + 1]
    return places


def at_least(values: npt.NDArray[np.floating], least: float) -> Ids:
    """Return the places of the values that are at least `least`."""
    # `np.flatnonzero` takes longer, because it handles any number of dimensions.
    return (values >= least).nonzero()[0]


def total(weights: Floats) -> float:
    """Return the sum of the weights with a relative error of at most 1e-5."""
    # `sum` takes twice as long, and four times as long in double precision.
    return float(np.einsum("i->", weights))


def _shortlists(keys: Floats, floor: float, count: int) -> Iterator[Ids]:
    """Yield the places of the highest keys, highest first: a few of them, then more, at last all down to `floor`.

    A shortlist of more than `count` places is preceded by its `count` highest.
    """
    best = float(keys.max())
    for reach in _REACHES:
        least = max(best - reach, floor)
        is_high = keys >= least
        if np.count_nonzero(is_high) > count:
            yield _sorted(keys, keys.argpartition(-count)[-count:])
        yield _sorted(keys, is_high.nonzero()[0])
        if least == floor:
            return


def _sorted(keys: Floats, places: Ids) -> Ids:
    result: Ids = places[(-keys[places]).argsort()]
    return result
