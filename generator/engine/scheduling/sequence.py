"""Sequence: the token side of one draft, from the `Set` that tells its context to the text it adds.

Owns epoch, budget and what is computed. Pure: knows neither tensors nor the order in which sequences run.
Invariant: its slot holds the keys and values of `token_ids[:num_computed]`, and nothing else counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from generator.engine.sampling.arrays import Ids
from generator.engine.sampling.banned_words import BannedWords
from generator.engine.tokens.detokenizer import Detokenizer
from generator.engine.tokens.vocabulary import Vocabulary, units
from generator.engine.tokens.window import Window, common_prefix
from generator.wire.messages import Chunk, Ended, EngineEvent, Failed, Rolled
from generator.wire.sampling_params import SamplingParams

# A character has at most four bytes: a sequence may go this far beyond its budget to finish one.
_MAX_OVERRUN = 3


@dataclass(frozen=True, slots=True)
class SequenceParams:
    """What one epoch asks for; see `messages.Set`."""

    epoch: int
    sampling: SamplingParams
    attempt: int
    index: int
    run_tokens: int


@dataclass(eq=False)
class Sequence:
    """`last_served`, `turn_tokens` and `slot` belong to the scheduler.

    `wants_prefill` until a new context is computed, even when nothing may be generated yet; `is_edited` if that
    context replaced another one.
    """

    id: str
    owner: str
    orders: SequenceParams
    window: Window
    vocabulary: Vocabulary
    budget: int
    num_computed: int = 0
    num_generated: int = 0
    is_stopped: bool = False
    ready_at: float = 0.0
    slot: int | None = None
    wants_prefill: bool = True
    is_edited: bool = False
    last_served: int = 0
    turn_tokens: int = 0
    _detokenizer: Detokenizer = field(default_factory=Detokenizer)
    _held: list[tuple[int, int, float]] = field(default_factory=list)
    _held_text: str = ""
    _banned: BannedWords | None = None

    @property
    def token_ids(self) -> list[int]:
        return self.window.token_ids

    @property
    def may_generate(self) -> bool:
        if self.is_stopped or self.budget <= 0:
            return False
        beyond = self.num_generated - self.budget
        return beyond < 0 or (beyond < _MAX_OVERRUN and self._detokenizer.is_inside_character)

    @property
    def num_pending(self) -> int:
        """Tokens to compute. The last one waits until its logits are wanted, so that they are at hand then."""
        may_generate = self.may_generate
        if self.is_stopped or not (may_generate or self.wants_prefill):
            return 0
        return len(self.token_ids) - self.num_computed - (0 if may_generate else 1)

    @property
    def next_index(self) -> int:
        """Which model token of the text comes next: fixes the noise."""
        return self.orders.index + self.num_generated

    def banned_ids(self) -> Ids:
        """The tokens that would complete a word that must not come. Found out once for all tokens: it takes long."""
        words = self.orders.sampling.banned_words
        if self._banned is None or self._banned.words != words:
            self._banned = BannedWords(self.vocabulary, words)
        return self._banned.ids(self.token_ids)

    @property
    def may_end(self) -> bool:
        sampling = self.orders.sampling
        return sampling.stop_at_end and self.orders.run_tokens + self.num_generated >= sampling.min_length

    def revise(self, orders: SequenceParams, window: Window, budget: int) -> list[EngineEvent]:
        """A new context: whatever it has in common with what is computed stays."""
        self.num_computed = min(
            self.num_computed, common_prefix(self.token_ids, window.token_ids), len(window.token_ids) - 1
        )
        self.orders, self.window, self.budget = orders, window, budget
        # Whoever edits sees the next word at once, whatever the pace.
        self.num_generated, self.is_stopped, self.ready_at = 0, False, 0.0
        self.wants_prefill = self.is_edited = True
        self._detokenizer, self._held, self._held_text = Detokenizer(), [], ""
        return self.placed()

    def advance(self, count: int) -> None:
        """`count` more tokens are computed."""
        self.num_computed += count
        if self.num_pending == 0:
            self.wants_prefill = self.is_edited = False

    def set_budget(self, budget: int) -> None:
        self.budget = budget
        if budget == 0:
            self.wants_prefill = False

    def placed(self) -> list[EngineEvent]:
        """What to tell when the window of a new context does not begin where its pieces do."""
        return [Rolled(self.id, self.orders.epoch, self.window.base)] if self.window.base else []

    def append(self, token_id: int, logprob: float) -> list[EngineEvent]:
        """The model's next token. Events: text with complete characters, an end, a window that moved."""
        if token_id in self.vocabulary.end_ids:
            self.is_stopped = True
            return [*self._release(self._detokenizer.finish()), Ended(self.id, self.orders.epoch)]
        text = self._detokenizer.feed(self.vocabulary.token_bytes[token_id])
        length = units(text)
        self.num_generated += 1
        self.window.append(token_id, length)
        self._held.append((token_id, length, logprob))
        self._held_text += text
        events: list[EngineEvent] = []
        if not self._detokenizer.is_inside_character:
            events += self._release("")
        if self.window.is_overfull:
            events += self._roll()
        return events

    def fail(self, code: str, message: str) -> EngineEvent:
        """Stop until the next context; nothing computed is trusted any more."""
        self.is_stopped, self.num_computed = True, 0
        return Failed(self.id, self.orders.epoch, code, message)

    def _release(self, rest: str) -> list[EngineEvent]:
        """The held tokens as a chunk; `rest` is what an unfinished character turned into."""
        if not self._held:
            return []
        if rest:
            token_id, length, logprob = self._held[-1]
            self._held[-1] = (token_id, length + units(rest), logprob)
        chunk = Chunk(
            self.id, self.orders.epoch, self._held_text + rest, tuple(self._held), self.vocabulary.fingerprint
        )
        self._held, self._held_text = [], ""
        return [chunk]

    def _roll(self) -> list[EngineEvent]:
        before = self.token_ids
        self.window.roll()
        self.num_computed = min(self.num_computed, common_prefix(before, self.token_ids), len(self.token_ids) - 1)
        return [Rolled(self.id, self.orders.epoch, self.window.base)]
