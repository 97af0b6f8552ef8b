"""Runner: the seam between the loop and whatever computes logits (a transformers model, or the fake).

Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from generator.engine.sampling.sampler import Floats
from generator.engine.tokens.vocabulary import Vocabulary

# So many sequences hold slots at once; the other slots are for shadows alone, so that windows move unnoticed also when
# as many write as can. Where slots take memory only as they are used, there may be more, if it is to spare.
USUAL_HOLDERS, USUAL_SLOTS, MAX_SLOTS = 16, 19, 76


class Interrupted(Exception):
    """A forward was given up because somebody edited; what it computed so far does not count."""


class LoadFailed(Exception):
    """The model cannot be had; the message is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """`root` is where relative folders are; `device` and `precision` may be `auto`; `threads` 0 is torch's choice.
    `memory` is how many bytes the loaded models may take together."""

    root: Path
    device: str = "auto"
    precision: str = "auto"
    threads: int = 0
    memory: int = 4000 * 10**6


@dataclass(frozen=True, slots=True)
class BatchItem:
    """Tokens of one sequence to compute: they stand at positions `past` and on, after what the slot holds."""

    slot: int
    token_ids: AnySequence[int]
    past: int
    wants_logits: bool


class Runner(Protocol):
    """`seconds_per_token` is the least time between two tokens of a sequence (0: as fast as it goes). A slot takes
    `slot_bytes`; those after the first `USUAL_SLOTS` not before they are used."""

    vocabulary: Vocabulary
    window: int
    num_slots: int
    slot_bytes: int
    precision: str
    seconds_per_token: float

    def forward(self, rows: AnySequence[BatchItem], should_stop: Callable[[], bool]) -> Floats:
        """Compute all rows in one step. Returns logits `[rows that want them, vocabulary.size]`.

        Raises Interrupted once `should_stop` says so."""
        ...

    def copy_slot(self, source: int, target: int, num_tokens: int) -> None:
        """Make `target` hold what `source` does for its first `num_tokens` tokens."""
        ...
