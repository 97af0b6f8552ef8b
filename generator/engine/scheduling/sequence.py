"""Sequence: the token side of one draft, from the context in its `Set` to the text that the model adds.

Owns the epoch, the budget and the number of computed tokens. Pure: knows neither tensors nor the order in which
sequences run. Invariant: the sequence's slot holds the keys and values of `token_ids[:num_computed]`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from generator.engine.sampling.arrays import Ids
from generator.engine.sampling.banned_words import BannedWords
from generator.engine.tokens.detokenizer import Detokenizer
from generator.engine.tokens.utf16 import units
from generator.engine.tokens.vocabulary import Vocabulary
from generator.engine.tokens.window import Window, common_prefix
from generator.wire.messages import Chunk, Ended, EngineEvent, Failed, Rolled
from generator.wire.sampling_params import SamplingParams

# A sequence may exceed its budget to finish a character, which has at most four bytes.
_MAX_OVERRUN = 3


class Phase(Enum):
    """What a sequence needs from the next step."""

    PAUSED = "paused"  # nothing: its context is computed or not wanted, and its budget is spent
    PREFILL = "prefill"  # more than one token
    DECODE = "decode"  # exactly one token
    STOPPED = "stopped"  # nothing until its next context, because it has ended or failed


@dataclass(frozen=True, slots=True)
class SequenceParams:
    """The request of one epoch. See `messages.Set` for the fields."""

    epoch: int
    sampling: SamplingParams
    attempt: int
    index: int
    run_tokens: int


@dataclass(eq=False)
class Sequence:
    """One draft's tokens.

    `is_edited` is true until a context that replaced another one is computed. `ready_at` is the earliest time of the
    next token, which the loop sets for a paced sequence. `slot`, `last_served` and `slot_tokens` belong to the
    scheduler.
    """

    id: str
    owner: str
    params: SequenceParams
    window: Window
    vocabulary: Vocabulary
    budget: int
    num_computed: int = 0
    num_generated: int = 0
    ready_at: float = 0.0
    is_edited: bool = False
    slot: int | None = None
    last_served: int = 0
    slot_tokens: int = 0
    _is_stopped: bool = field(default=False, init=False)
    # A new context is computed even if the budget allows no token yet.
    _wants_prefill: bool = field(default=True, init=False)
    _detokenizer: Detokenizer = field(default_factory=Detokenizer, init=False)
    _held_tokens: list[tuple[int, int, float]] = field(default_factory=list, init=False)
    _held_text: str = field(default="", init=False)
    _banned: BannedWords | None = field(default=None, init=False)

    @property
    def token_ids(self) -> list[int]:
        """The tokens of the window."""
        return self.window.token_ids

    @property
    def phase(self) -> Phase:
        """What the sequence needs from the next step."""
        if self._is_stopped:
            return Phase.STOPPED
        num_pending = self.num_pending
        if num_pending <= 0:
            return Phase.PAUSED
        return Phase.DECODE if num_pending == 1 else Phase.PREFILL

    @property
    def num_pending(self) -> int:
        """The number of tokens to compute.

        Without budget the last token of the context is not counted. It is computed when the budget allows a token, so
        that its logits are fresh.
        """
        may_generate = self._may_generate
        if self._is_stopped or not (may_generate or self._wants_prefill):
            return 0
        return len(self.token_ids) - self.num_computed - (0 if may_generate else 1)

    @property
    def _may_generate(self) -> bool:
        if self.budget <= 0:
            return False
        overrun = self.num_generated - self.budget
        return overrun < 0 or (overrun < _MAX_OVERRUN and self._detokenizer.is_inside_character)

    @property
    def next_index(self) -> int:
        """The number of model tokens in the text before the next one. It determines the sampling noise."""
        return self.params.index + self.num_generated

    def banned_ids(self) -> Ids:
        """Return the tokens that would complete a banned word. The word list is analysed once, because it is slow."""
        words = self.params.sampling.banned_words
        if self._banned is None or self._banned.words != words:
            self._banned = BannedWords(self.vocabulary, words)
        return self._banned.ids(self.token_ids)

    @property
    def may_end(self) -> bool:
        """Whether the model may write an end token now."""
        sampling = self.params.sampling
        return sampling.stop_at_end and self.params.run_tokens + self.num_generated >= sampling.min_length

    def set_context(self, params: SequenceParams, window: Window, budget: int) -> list[EngineEvent]:
        """Replace the context. The computed tokens of the longest common prefix stay valid (prefix cache)."""
        self.num_computed = min(
            self.num_computed, common_prefix(self.token_ids, window.token_ids), len(window.token_ids) - 1
        )
        self.params, self.window, self.budget = params, window, budget
        # The first word after an edit comes at once, whatever the pace.
        self.num_generated, self.ready_at = 0, 0.0
        self._is_stopped, self._wants_prefill, self.is_edited = False, True, True
        self._detokenizer, self._held_tokens, self._held_text = Detokenizer(), [], ""
        return self.base_events()

    def advance(self, count: int) -> None:
        """Note that `count` more tokens are computed."""
        self.num_computed += count
        if self.num_pending == 0:
            self._wants_prefill = self.is_edited = False

    def set_budget(self, budget: int) -> None:
        """Set the number of tokens that this epoch may generate in all. 0 also stops the prefill."""
        self.budget = budget
        if budget == 0:
            self._wants_prefill = False

    def base_events(self) -> list[EngineEvent]:
        """Return the event for a new context whose window does not begin at the start of its pieces."""
        return [Rolled(self.id, self.params.epoch, self.window.base)] if self.window.base else []

    def append(self, token_id: int, logprob: float) -> list[EngineEvent]:
        """Add the model's next token. Return the events for complete characters, an end and a roll of the window."""
        if token_id in self.vocabulary.end_ids:
            self._is_stopped = True
            return [*self._release(self._detokenizer.finish()), Ended(self.id, self.params.epoch)]
        text = self._detokenizer.feed(self.vocabulary.token_bytes[token_id])
        length = units(text)
        self.num_generated += 1
        self.window.append(token_id, length)
        self._held_tokens.append((token_id, length, logprob))
        self._held_text += text
        events: list[EngineEvent] = []
        if not self._detokenizer.is_inside_character:
            events += self._release("")
        if self.window.is_overfull:
            events += self._roll()
        return events

    def fail(self, message: str) -> EngineEvent:
        """Stop until the next context. The computed tokens are not trusted any more."""
        self._is_stopped, self.num_computed = True, 0
        return Failed(self.id, self.params.epoch, message)

    def _release(self, rest: str) -> list[EngineEvent]:
        """Return the held tokens as a chunk. `rest` is the replacement of an unfinished character."""
        if not self._held_tokens:
            return []
        if rest:
            token_id, length, logprob = self._held_tokens[-1]
            self._held_tokens[-1] = (token_id, length + units(rest), logprob)
        text, tokens = self._held_text + rest, tuple(self._held_tokens)
        self._held_tokens, self._held_text = [], ""
        return [Chunk(self.id, self.params.epoch, text, tokens, self.vocabulary.fingerprint)]

    def _roll(self) -> list[EngineEvent]:
        before = self.token_ids
        self.window.roll()
        self.num_computed = min(self.num_computed, common_prefix(before, self.token_ids), len(self.token_ids) - 1)
        return [Rolled(self.id, self.params.epoch, self.window.base)]
