"""Array types of logits and token ids, for the sampler and for everything that hands it logits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

NO_IDS: Ids = np.empty(0, dtype=np.int64)
