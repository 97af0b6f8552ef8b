"""The engine's loop: drain commands, schedule, one packed forward per model, sample, publish.

One thread owns all state, so there are no locks; others reach it through `submit`. Knows nothing of sockets.
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
from generator.engine.scheduling.pace import resting, token_seconds
from generator.engine.scheduling.scheduler import ScheduledChunk
from generator.engine.scheduling.sequence import Sequence
from generator.engine.sequence_table import AlternativesProbe, SequenceTable
from generator.wire.messages import Alternatives, Budget, Drop, EngineCommand, EngineEvent, Load, Set, Unload

# Chunks of this many tokens and more are worth giving up when their sequence is edited.
_LONG_PREFILL = 32
# However slow steps are: for each token written one is to be computed ahead, and now and then several windows move.
_TOKENS_PER_WRITER = 3
# Who keeps to a pace may come so much too soon, with others: a step for each of them alone costs several times as much.
_EARLY_SECONDS = 0.02


class Loop:
    """`clock` tells the seconds that paces are kept by."""

    def __init__(
        self, options: LoadOptions, publish: Callable[[EngineEvent], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._publish, self._clock = publish, clock
        self._inbox: queue.SimpleQueue[EngineCommand | LoadFinished] = queue.SimpleQueue()
        self.models = LoadedModels(options, publish, self._inbox.put)
        self.roster = SequenceTable(self.models, publish)
        self._edited: set[str] = set()
        self._was_interrupted = False

    def submit(self, command: EngineCommand) -> None:
        """Called on any thread; takes effect between two steps, or within a long prefill of what is edited."""
        self._inbox.put(command)
        if isinstance(command, Set | Drop):
            self._edited.add(command.sequence)

    def run(self) -> None:
        wait: float | None = None
        while True:
            self.drain(wait)
            wait = self.step()

    def step(self) -> float | None:
        """One step of every model. Returns how long nothing will be to do: 0, seconds, or None (until a command)."""
        now = self._clock()
        waits = [self._step_model(model, now) for model in list(self.models.loaded.values())]
        return min((wait for wait in waits if wait is not None), default=None)

    def drain(self, wait: float | None) -> None:
        """Apply all commands there are, after waiting at most `wait` seconds (None: for ever) for the first."""
        commands: list[EngineCommand | LoadFinished] = []
        try:
            if wait != 0:
                commands.append(self._inbox.get(timeout=wait))
            while True:
                commands.append(self._inbox.get_nowait())
        except queue.Empty:
            pass
        self._edited.clear()
        # A context that another one replaces in the same breath is not worth tokenizing.
        last = {c.sequence: number for number, c in enumerate(commands) if isinstance(c, Set | Drop)}
        for number, command in enumerate(commands):
            if not isinstance(command, Set) or last[command.sequence] == number:
                self._apply(command)

    def _apply(self, command: EngineCommand | LoadFinished) -> None:
        if isinstance(command, Load):
            self.models.load(command.model)
        elif isinstance(command, Unload):
            self.roster.close_model(command.model)
        elif isinstance(command, LoadFinished):
            self.roster.model_finished(command)
        elif isinstance(command, Set):
            self.roster.set(command)
        elif isinstance(command, Budget):
            self.roster.set_budget(command)
        elif isinstance(command, Drop):
            self.roster.drop(command.sequence)
        elif isinstance(command, Alternatives):
            self.roster.probe(command)

    def _step_model(self, model: LoadedModel, now: float) -> float | None:
        pending = [sequence for sequence in self.roster.sequences_of(model) if sequence.num_pending > 0]
        soon = now + _EARLY_SECONDS if any(sequence.ready_at <= now for sequence in pending) else now
        ready = [sequence for sequence in pending if sequence.ready_at <= soon]
        most_writing = min(len(ready), model.scheduler.num_slots)
        token_budget = max(model.step_budget.tokens, _TOKENS_PER_WRITER * most_writing)
        works = model.scheduler.schedule(ready, token_budget, resting(pending, model.step_budget.seconds, soon))
        if not works:
            return min((sequence.ready_at - now for sequence in pending if sequence.ready_at > now), default=None)
        self.models.use(model)
        try:
            logits = self._forward(model, works)
        except Interrupted:
            self._was_interrupted = True
        except Exception as error:  # noqa: BLE001 - a failing model must not take the engine along
            log(f"a step of {model.spec.key} failed: {kind_and_place(error)}")
            for work in works:
                if not isinstance(work.sequence, LookaheadWindow):
                    self.roster.fail(work.sequence, "The model failed while computing.")
        else:
            self._was_interrupted = False
            self._advance(model, works, logits)
        return 0

    def _forward(self, model: LoadedModel, works: AnySequence[ScheduledChunk]) -> Floats:
        long = {work.sequence.id for work in works if work.count >= _LONG_PREFILL}
        # Never twice in a row: a fast typist must not stop those who share the step.
        may_stop = bool(long) and not self._was_interrupted
        begin = time.perf_counter()
        logits = model.runner.forward(
            [_row(work) for work in works], lambda: may_stop and not long.isdisjoint(self._edited)
        )
        model.step_budget.learn(sum(work.count for work in works), time.perf_counter() - begin)
        return logits

    def _advance(self, model: LoadedModel, works: AnySequence[ScheduledChunk], logits: Floats) -> None:
        rows = iter(logits)
        for work in works:
            sequence = work.sequence
            sequence.advance(work.count)
            if not work.wants_logits:
                continue
            row = next(rows)
            if isinstance(sequence, AlternativesProbe):
                options = choose_options(model.runner.vocabulary, row, sequence.place)
                self.roster.answer(sequence, options)
            else:
                self._write(model, sequence, row)

    def _write(self, model: LoadedModel, sequence: Sequence, row: Floats) -> None:
        try:
            token_id, logprob = _sample(model, sequence, row)
        except BrokenLogits as error:
            self.roster.fail(sequence, str(error))
            return
        except Exception as error:  # noqa: BLE001 - one draft's settings must not take the engine along
            log(f"choosing a token failed: {kind_and_place(error)}")
            self.roster.fail(sequence, "The next word could not be chosen; try other settings of the voice.")
            return
        window = sequence.window.base
        for event in sequence.append(token_id, logprob):
            self._publish(event)
        if sequence.window.base != window:
            model.scheduler.rolled(sequence)
        seconds = max(model.runner.seconds_per_token, token_seconds(sequence))
        if seconds:
            # From when it was due, so that the pace is kept; what is lost for long is not made up for.
            now = self._clock()
            sequence.ready_at = seconds + (sequence.ready_at if now - sequence.ready_at < seconds else now)


def _row(work: ScheduledChunk) -> BatchItem:
    sequence = work.sequence
    assert sequence.slot is not None
    begin = sequence.num_computed
    return BatchItem(sequence.slot, sequence.token_ids[begin : begin + work.count], begin, work.wants_logits)


def _sample(model: LoadedModel, sequence: Sequence, row: Floats) -> tuple[int, float]:
    orders, vocabulary = sequence.orders, model.runner.vocabulary
    blocked = vocabulary.blocked_but_ends if sequence.may_end else vocabulary.blocked_ids
    noise = Noise(orders.sampling.seed or 0, orders.attempt, sequence.next_index)
    page = TokenHistory(sequence.window.ids(), blocked, vocabulary.breakers, sequence.banned_ids())
    return sample(row, orders.sampling, noise, page)
