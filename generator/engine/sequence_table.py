"""Sequence table: all sequences of the engine, as the commands of the web process describe them.

Owns the conversion of `Set`, `Budget`, `Drop` and `Alternatives` into sequences, at once or when their model is loaded.
Knows nothing of steps or sampling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from generator.engine.loading.loaded_models import LoadedModel, LoadedModels, LoadFinished
from generator.engine.process.log import log
from generator.engine.scheduling.alternatives import NOWHERE, TokenPlace, find_place
from generator.engine.scheduling.pace import paced_idle
from generator.engine.scheduling.sequence import Phase, Sequence, SequenceParams
from generator.engine.tokens.window import Window, common_prefix, stagger
from generator.engine.tokens.window_builder import PremiseTooLarge, build_window, pinned_head
from generator.wire.messages import Alternatives, AlternativesReady, Budget, EngineEvent, Failed, ModelSpec, Set
from generator.wire.sampling_params import SamplingParams

_MAX_QUESTIONS = 64
_NO_MEMORY = "There is no memory for another model while the loaded models write. Pause them, or raise --memory."
_UNREADABLE = "The model's tokenizer could not read the text."
_LOADING = "The model is being loaded. Try again when it is ready."


@dataclass(eq=False)
class AlternativesProbe(Sequence):
    """A sequence that is computed once for the distribution of its next token and never writes."""

    place: TokenPlace = NOWHERE
    request: str = ""


@dataclass(eq=False)
class SequenceEntry:
    """The last `Set` of a sequence, and the sequence itself once its model is loaded."""

    command: Set
    budget: int
    sequence: Sequence | None = None


class SequenceTable:
    """`clock` returns the time in seconds that paced sequences are measured by."""

    def __init__(
        self, models: LoadedModels, publish: Callable[[EngineEvent], None], clock: Callable[[], float]
    ) -> None:
        self._models = models
        self._publish = publish
        self._clock = clock
        self._entries: dict[str, SequenceEntry] = {}
        self._probes: dict[str, tuple[str, AlternativesProbe]] = {}
        self._questions: list[Alternatives] = []  # for models that are being loaded

    def sequences_of(self, model: LoadedModel) -> list[Sequence]:
        """Return the model's sequences, including the alternatives probes."""
        key = model.spec.key
        writing = [e.sequence for e in self._entries.values() if e.sequence and e.command.model.key == key]
        return writing + [probe for probe_key, probe in self._probes.values() if probe_key == key]

    def set(self, command: Set) -> None:
        """Replace the context of a sequence, or add the sequence. Load its model if necessary."""
        entry = self._entries.get(command.sequence)
        if entry is not None and command.epoch < entry.command.epoch:
            return
        if entry is not None and entry.command.model.key != command.model.key:
            self.drop(command.sequence)
            entry = None
        if entry is None:
            entry = self._entries[command.sequence] = SequenceEntry(command, command.budget)
        entry.command, entry.budget = command, command.budget
        model = self._models.loaded.get(command.model.key)
        if model is not None:
            self._apply_context(entry, model)
            return
        entry.sequence = None
        if reason := self._reason_not_to_load(command.model):
            self._fail_command(command, reason)
        else:
            self._models.load(command.model)

    def set_budget(self, command: Budget) -> None:
        """Change the budget of a sequence's present epoch. Load its model again if necessary."""
        entry = self._entries.get(command.sequence)
        if entry is None or entry.command.epoch != command.epoch:
            return
        entry.budget = command.budget
        if entry.sequence is not None:
            entry.sequence.set_budget(command.budget)
        if command.budget and entry.command.model.key not in self._models.loaded:
            self._models.load(entry.command.model)

    def drop(self, sequence_id: str) -> None:
        """Remove a sequence and free its slot."""
        entry = self._entries.pop(sequence_id, None)
        if entry is not None:
            self._release(entry)

    def fail(self, sequence: Sequence, message: str) -> None:
        """Stop a sequence or an alternatives probe and publish the reason."""
        if isinstance(sequence, AlternativesProbe):
            self.answer(sequence, (), message)
        else:
            self._publish(sequence.fail(message))

    def model_finished(self, result: LoadFinished) -> None:
        """Continue the sequences and questions that wait for this model, or publish why they fail."""
        model, reason = self._models.finish(result), result.reason
        if model is not None and not self._make_room(model):
            self._models.reject(model)
            model, reason = None, _NO_MEMORY
        if model is not None:
            self._models.announce(model)
        for entry in [e for e in self._entries.values() if e.command.model.key == result.spec.key]:
            if model is None:
                self._fail_command(entry.command, reason)
            elif entry.sequence is None:
                self._apply_context(entry, model)
        questions, self._questions = self._questions, []
        for command in questions:
            if command.model.key != result.spec.key:
                self._questions.append(command)
            elif model is not None:
                self.ask(command)
            else:
                self._fail_question(command, reason)

    def _make_room(self, wanted: LoadedModel) -> bool:
        """Unload the least recently used models without active sequences, until `wanted` fits into memory.

        Return False if it does not fit.
        """
        while self._models.is_over_memory and len(self._models.loaded) > 1:
            idle = [m for m in self._models.loaded.values() if m is not wanted and not self._is_active(m)]
            if not idle:
                return False
            self._unload_idle(min(idle, key=lambda model: model.last_used))
        return True

    def _reason_not_to_load(self, spec: ModelSpec) -> str:
        """Return why a load would fail now, or an empty string."""
        if self._models.is_too_large(spec, filter(self._is_active, self._models.loaded.values())):
            return _NO_MEMORY
        return self._models.recent_failure(spec)

    def _is_active(self, model: LoadedModel) -> bool:
        """Whether a sequence of the model computes, or continues as soon as its budget is raised."""
        return any(
            sequence.phase in (Phase.PREFILL, Phase.DECODE) or (sequence.phase is Phase.PAUSED and sequence.budget > 0)
            for sequence in self.sequences_of(model)
        )

    def _unload_idle(self, model: LoadedModel) -> None:
        """Unload the model. Its sequences lose only their computed tokens and continue when it is loaded again."""
        for sequence in self.sequences_of(model):
            model.scheduler.release(sequence)
        self._models.unload(model.spec)

    def ask(self, command: Alternatives) -> None:
        """Begin to compute the answer to a question for alternatives. Load its model if necessary."""
        model = self._models.loaded.get(command.model.key)
        if command.request in self._probes:
            return
        if model is None:
            self._ask_later(command)
            return
        try:
            place, window = find_place(model.runner.vocabulary, model.runner.window, command)
        except PremiseTooLarge as error:
            self._fail_question(command, str(error))
        except Exception as error:  # noqa: BLE001 - a text that breaks a tokenizer must not end the engine
            log(f"Tokenizing for {command.model.key} failed: {type(error).__name__}")
            self._fail_question(command, _UNREADABLE)
        else:
            self._start_probe(command, model, place, window)

    def _ask_later(self, command: Alternatives) -> None:
        reason = self._reason_not_to_load(command.model)
        if not reason and len(self._questions) >= _MAX_QUESTIONS:
            reason = _LOADING
        if reason:
            self._fail_question(command, reason)
        else:
            self._questions.append(command)
            self._models.load(command.model)

    def _start_probe(self, command: Alternatives, model: LoadedModel, place: TokenPlace, window: Window) -> None:
        entry = self._entries.get(command.sequence)
        writing = entry.sequence if entry is not None else None
        owner = entry.command.owner if entry is not None else command.sequence
        probe = AlternativesProbe(
            id=command.request,
            owner=owner,
            params=SequenceParams(0, SamplingParams(), 0, 0, 0),
            window=window,
            vocabulary=model.runner.vocabulary,
            budget=1,
            is_edited=True,
            place=place,
            request=command.request,
        )
        # The lenders of the last step may be out of date: an edit may have made one of them ready.
        lenders = paced_idle(self.sequences_of(model), model.step_budget.seconds, self._clock())
        self._probes[command.request] = (command.model.key, probe)
        if writing is not None and model.scheduler.acquire(probe, lenders) and writing.slot is not None:
            self._copy_computed(model, writing, probe)

    def answer(self, probe: AlternativesProbe, options: tuple[tuple[str, float], ...], error: str = "") -> None:
        """Publish the answer to a question and remove its probe."""
        key, _ = self._probes.pop(probe.request)
        self._models.loaded[key].scheduler.release(probe)
        self._publish(AlternativesReady(probe.request, probe.place.start, probe.place.end, options, error))

    def _apply_context(self, entry: SequenceEntry, model: LoadedModel) -> None:
        """Give the context of the entry's `Set` to its sequence. Any error fails only this sequence."""
        command, runner = entry.command, model.runner
        params = SequenceParams(command.epoch, command.sampling, command.attempt, command.index, command.run_tokens)
        try:
            head = pinned_head(runner.vocabulary, command.premise, runner.window)
            early = stagger(command.sequence, runner.window)
            window = build_window(runner.vocabulary, runner.window, head, command.before, command.pieces, early)
        except PremiseTooLarge as error:
            self._release(entry)
            self._fail_command(command, str(error))
            return
        except Exception as error:  # noqa: BLE001 - a text that breaks a tokenizer must not end the engine
            log(f"Tokenizing for {command.model.key} failed: {type(error).__name__}")
            self._release(entry)
            self._fail_command(command, _UNREADABLE)
            return
        if entry.sequence is None:
            entry.sequence = Sequence(command.sequence, command.owner, params, window, runner.vocabulary, entry.budget)
            events = entry.sequence.base_events()
        else:
            events = entry.sequence.set_context(params, window, entry.budget)
        for event in events:
            self._publish(event)

    def _copy_computed(self, model: LoadedModel, source: Sequence, probe: AlternativesProbe) -> None:
        """Copy the computed tokens that the sequence and the probe have in common to the probe's slot."""
        shared = min(source.num_computed, common_prefix(source.token_ids, probe.token_ids), len(probe.token_ids) - 1)
        assert source.slot is not None
        assert probe.slot is not None
        model.runner.copy_slot(source.slot, probe.slot, shared)
        probe.num_computed = shared

    def _release(self, entry: SequenceEntry) -> None:
        model = self._models.loaded.get(entry.command.model.key)
        if entry.sequence is not None and model is not None:
            model.scheduler.release(entry.sequence)
        entry.sequence = None

    def _fail_command(self, command: Set, message: str) -> None:
        self._publish(Failed(command.sequence, command.epoch, message))

    def _fail_question(self, command: Alternatives, message: str) -> None:
        self._publish(AlternativesReady(command.request, 0, 0, (), message))
