"""Loop: applies commands, schedules a step, runs one forward per model, samples and publishes.

One thread owns all state of the engine, so no locks are needed. Other threads hand over commands through `submit`,
which fills only the inbox and the set of edited sequences.
Knows nothing of sockets.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable
from collections.abc import Sequence as AnySequence

from generator.engine.loading.loaded_models import LoadedModel, LoadedModels, LoadFinished
from generator.engine.networks.runner import BatchItem, Interrupted, LoadOptions
from generator.engine.process.log import kind_and_place, log
from generator.engine.sampling.arrays import Floats
from generator.engine.sampling.noise import Noise
from generator.engine.sampling.sampler import BrokenLogits, TokenHistory, sample
from generator.engine.scheduling.alternatives import choose_options
from generator.engine.scheduling.lookahead_window import LookaheadWindow
from generator.engine.scheduling.pace import paced_idle, token_seconds
from generator.engine.scheduling.scheduler import ScheduledChunk
from generator.engine.scheduling.sequence import Phase, Sequence
from generator.engine.sequence_table import AlternativesProbe, SequenceTable
from generator.wire.messages import Alternatives, Budget, Drop, EngineCommand, EngineEvent, Set

# An edit interrupts the forward of its sequence only if the chunk has at least this many tokens.
_LONG_PREFILL = 32
# The minimum step budget per decoding sequence, even when steps are slow: one token to decode, about one to compute
# ahead, and one in reserve for several windows that roll at the same time.
_TOKENS_PER_WRITER = 3
# A paced sequence may be scheduled this much early, so that it can share a step. Separate steps for paced sequences
# cost several times as much.
_EARLY_SECONDS = 0.02


class Loop:
    """`clock` returns the time in seconds that paces are measured by."""

    def __init__(
        self, options: LoadOptions, publish: Callable[[EngineEvent], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._publish, self._clock = publish, clock
        self._inbox: queue.SimpleQueue[EngineCommand | LoadFinished] = queue.SimpleQueue()
        self.models = LoadedModels(options, publish, self._inbox.put)
        self.sequences = SequenceTable(self.models, publish, clock)
        self._edited: set[str] = set()
        self._was_interrupted = False

    def submit(self, command: EngineCommand) -> None:
        """Hand over a command, on any thread.

        It takes effect between two steps. A `Set` or `Drop` interrupts a long prefill of its sequence.
        """
        self._inbox.put(command)
        if isinstance(command, Set | Drop):
            self._edited.add(command.sequence)

    def run(self) -> None:
        """Apply commands and run steps, without end."""
        wait: float | None = None
        while True:
            self.drain(wait)
            wait = self.step()

    def step(self) -> float | None:
        """Run one step of every model.

        Return the seconds until the next step has anything to compute, or None if only a command can change that.
        """
        now = self._clock()
        waits = [self._step_model(model, now) for model in list(self.models.loaded.values())]
        return min((wait for wait in waits if wait is not None), default=None)

    def drain(self, wait: float | None) -> None:
        """Apply all waiting commands. Wait at most `wait` seconds for the first one; None waits without a limit."""
        commands: list[EngineCommand | LoadFinished] = []
        try:
            if wait != 0:
                commands.append(self._inbox.get(timeout=wait))
            while True:
                commands.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        self._edited.clear()
        # A context that a later command already replaces is not worth tokenizing.
        last = {c.sequence: number for number, c in enumerate(commands) if isinstance(c, Set | Drop)}
        for number, command in enumerate(commands):
            if not isinstance(command, Set) or last[command.sequence] == number:
                self._apply(command)

    def _apply(self, command: EngineCommand | LoadFinished) -> None:
        if isinstance(command, LoadFinished):
            self.sequences.model_finished(command)
        elif isinstance(command, Set):
            self.sequences.set(command)
        elif isinstance(command, Budget):
            self.sequences.set_budget(command)
        elif isinstance(command, Drop):
            self.sequences.drop(command.sequence)
        elif isinstance(command, Alternatives):
            self.sequences.ask(command)

    def _step_model(self, model: LoadedModel, now: float) -> float | None:
        chunks, wait = self._schedule(model, now)
        if not chunks:
            return wait
        self.models.use(model)
        try:
            logits = self._forward(model, chunks)
        except Interrupted:
            self._was_interrupted = True
        except Exception as error:  # noqa: BLE001 - a failing model must not end the engine
            log(f"A step of {model.spec.key} failed: {kind_and_place(error)}")
            for chunk in chunks:
                if not isinstance(chunk.sequence, LookaheadWindow):
                    self.sequences.fail(chunk.sequence, "The model failed while computing.")
        else:
            self._was_interrupted = False
            self._advance(model, chunks, logits)
        return 0

    def _schedule(self, model: LoadedModel, now: float) -> tuple[list[ScheduledChunk], float | None]:
        """Return the chunks of the next step, and the wait for a paced sequence if there are no chunks."""
        pending = [s for s in self.sequences.sequences_of(model) if s.phase in (Phase.PREFILL, Phase.DECODE)]
        soon = now + _EARLY_SECONDS if any(sequence.ready_at <= now for sequence in pending) else now
        ready = [sequence for sequence in pending if sequence.ready_at <= soon]
        most_writing = min(len(ready), model.scheduler.num_slots)
        token_budget = max(model.step_budget.tokens, _TOKENS_PER_WRITER * most_writing)
        lenders = paced_idle(pending, model.step_budget.seconds, soon)
        chunks = model.scheduler.schedule(ready, token_budget, lenders)
        return chunks, min((sequence.ready_at - now for sequence in pending if sequence.ready_at > now), default=None)

    def _forward(self, model: LoadedModel, chunks: AnySequence[ScheduledChunk]) -> Floats:
        long = {chunk.sequence.id for chunk in chunks if chunk.count >= _LONG_PREFILL}
        # Two interruptions in a row are not allowed: a fast typist must not stop the other sequences of the step.
        may_stop = bool(long) and not self._was_interrupted
        begin = time.perf_counter()
        logits = model.runner.forward(
            [_batch_item(chunk) for chunk in chunks], lambda: may_stop and not long.isdisjoint(self._edited)
        )
        model.step_budget.learn(sum(chunk.count for chunk in chunks), time.perf_counter() - begin)
        return logits

    def _advance(self, model: LoadedModel, chunks: AnySequence[ScheduledChunk], logits: Floats) -> None:
        rows = iter(logits)
        for chunk in chunks:
            sequence = chunk.sequence
            sequence.advance(chunk.count)
            if not chunk.wants_logits:
                continue
            row = next(rows)
            if isinstance(sequence, AlternativesProbe):
                options = choose_options(model.runner.vocabulary, row, sequence.place)
                self.sequences.answer(sequence, options)
            else:
                self._write(model, sequence, row)

    def _write(self, model: LoadedModel, sequence: Sequence, logits: Floats) -> None:
        try:
            token_id, logprob = _sample(model, sequence, logits)
        except BrokenLogits as error:
            self.sequences.fail(sequence, str(error))
            return
        except Exception as error:  # noqa: BLE001 - the settings of one draft must not end the engine
            log(f"Sampling failed: {kind_and_place(error)}")
            self.sequences.fail(sequence, "The next word could not be chosen. Try other settings of the voice.")
            return
        base = sequence.window.base
        for event in sequence.append(token_id, logprob):
            self._publish(event)
        if sequence.window.base != base:
            model.scheduler.switch_to_lookahead(sequence)
        self._set_ready_at(sequence, max(model.runner.seconds_per_token, token_seconds(sequence)))

    def _set_ready_at(self, sequence: Sequence, seconds: float) -> None:
        """Set the time of the next token, `seconds` after this one was due.

        Counting from the due time keeps the pace. After a longer delay the lost time is not made up for.
        """
        if seconds:
            now = self._clock()
            sequence.ready_at = seconds + (sequence.ready_at if now - sequence.ready_at < seconds else now)


def _batch_item(chunk: ScheduledChunk) -> BatchItem:
    sequence = chunk.sequence
    assert sequence.slot is not None
    start = sequence.num_computed
    return BatchItem(sequence.slot, sequence.token_ids[start : start + chunk.count], start, chunk.wants_logits)


def _sample(model: LoadedModel, sequence: Sequence, logits: Floats) -> tuple[int, float]:
    params, vocabulary = sequence.params, model.runner.vocabulary
    blocked = vocabulary.blocked_except_ends if sequence.may_end else vocabulary.blocked_ids
    noise = Noise(params.sampling.seed or 0, params.attempt, sequence.next_index)
    history = TokenHistory(sequence.window.ids(), blocked, vocabulary.breakers, sequence.banned_ids())
    return sample(logits, params.sampling, noise, history)
