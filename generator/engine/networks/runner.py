"""Runner: the interface between the engine loop and a model that computes logits.

Owns the items of a batch, the options for loading a model, the errors of a forward and of a load, and the number of
slots. Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from generator.engine.sampling.arrays import Floats
from generator.engine.tokens.vocabulary import Vocabulary

# Of the default slots, this many hold sequences. The others are reserved for lookahead windows, so that a window can
# move forward without a delay while the maximum number of sequences is decoding.
SEQUENCE_SLOTS, DEFAULT_SLOTS = 16, 19
# The upper limit for a model whose slots take memory only once they are used, if the memory budget allows it.
MAX_SLOTS = 76


class Interrupted(Exception):
    """The forward was abandoned because of an edit. Its results are invalid."""


class LoadFailed(Exception):
    """The model cannot be loaded. The message is a sentence for the user."""


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """The options for loading a model.

    Relative folders are relative to `root`. `device` and `precision` may be `auto`. With 0 `threads` torch chooses the
    number of threads. `memory` is the budget in bytes for all loaded models together.
    """

    root: Path
    device: str = "auto"
    precision: str = "auto"
    threads: int = 0
    memory: int = 4000 * 10**6


@dataclass(frozen=True, slots=True)
class BatchItem:
    """Tokens of one sequence that a forward computes.

    The first token gets position `start` in `slot`. The slot holds all positions before `start`. With `wants_logits`
    the forward returns the logits after the last token.
    """

    slot: int
    token_ids: AnySequence[int]
    start: int
    wants_logits: bool


class Runner(Protocol):
    """A model with its slots.

    `seconds_per_token` is the minimum time between two tokens of a sequence; 0 means no limit. A slot takes
    `slot_bytes` bytes. Slots after the first `DEFAULT_SLOTS` take no memory before they are used.
    """

    vocabulary: Vocabulary
    window: int
    num_slots: int
    slot_bytes: int
    precision: str
    seconds_per_token: float

    def forward(self, items: AnySequence[BatchItem], should_stop: Callable[[], bool]) -> Floats:
        """Compute all items in one step and return logits `[items that want logits, vocabulary.size]`.

        Raise Interrupted once `should_stop` returns true.
        """
        ...

    def copy_slot(self, source: int, target: int, num_tokens: int) -> None:
        """Copy the first `num_tokens` positions of slot `source` to slot `target`."""
        ...
