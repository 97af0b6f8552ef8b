"""Roster: all sequences there are, by what the commands say of them.

Owns turning `Set`, `Budget`, `Drop` and `Alternatives` into sequences, now or when their model is loaded.
Knows nothing of steps or sampling.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from generator.engine.loading.loaded_models import LoadedModel, LoadedModels, LoadFinished
from generator.engine.process.log import log
from generator.engine.scheduling.alternatives import NOWHERE, TokenPlace, find_place
from generator.engine.scheduling.sequence import Sequence, SequenceParams
from generator.engine.tokens.window import Window, common_prefix, stagger
from generator.engine.tokens.window_builder import PremiseTooLarge, build_window, pinned_head
from generator.wire.messages import Alternatives, AlternativesReady, Budget, EngineEvent, Failed, ModelSpec, Set
from generator.wire.sampling_params import SamplingParams

_MAX_ASKED = 64
_NO_ROOM = "There is no memory for another model while those that are loaded write; pause them, or raise --memory."
_UNREADABLE = "The text could not be read by the model's tokenizer."


@dataclass(eq=False)
class AlternativesProbe(Sequence):
    """A sequence that is computed once for its next-word distribution and never writes."""

    place: TokenPlace = NOWHERE
    request: str = ""


@dataclass(eq=False)
class SequenceEntry:
    """A sequence's last context, and its token side once the model is there."""

    command: Set
    budget: int
    sequence: Sequence | None = None


class SequenceTable:
    def __init__(self, models: LoadedModels, publish: Callable[[EngineEvent], None]) -> None:
        self._models = models
        self._publish = publish
        self._entries: dict[str, SequenceEntry] = {}
        self._probes: dict[str, tuple[str, AlternativesProbe]] = {}
        self._asked: list[Alternatives] = []  # those whose model is being loaded

    def sequences_of(self, model: LoadedModel) -> list[Sequence]:
        key = model.spec.key
        writing = [e.sequence for e in self._entries.values() if e.sequence and e.command.model.key == key]
        return writing + [probe for probe_key, probe in self._probes.values() if probe_key == key]

    def set(self, command: Set) -> None:
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
            self._place(entry, model)
            return
        entry.sequence = None
        if reason := self._hindrance(command.model):
            self._refuse(command, "model_unavailable", reason)
        else:
            self._models.load(command.model)

    def set_budget(self, command: Budget) -> None:
        entry = self._entries.get(command.sequence)
        if entry is None or entry.command.epoch != command.epoch:
            return
        entry.budget = command.budget
        if entry.sequence is not None:
            entry.sequence.set_budget(command.budget)
        if command.budget and entry.command.model.key not in self._models.loaded:
            self._models.load(entry.command.model)

    def drop(self, sequence_id: str) -> None:
        entry = self._entries.pop(sequence_id, None)
        if entry is not None:
            self._release(entry)

    def fail(self, sequence: Sequence, message: str) -> None:
        if isinstance(sequence, AlternativesProbe):
            self.answer(sequence, (), message)
        else:
            self._publish(sequence.fail("engine", message))

    def model_finished(self, result: LoadFinished) -> None:
        """The model is there, or never will be: take up those who wait for it."""
        model, reason = self._models.finish(result), result.reason
        if model is not None and not self._make_room(model):
            self._models.reject(model)
            model, reason = None, _NO_ROOM
        if model is not None:
            self._models.announce(model)
        for entry in [e for e in self._entries.values() if e.command.model.key == result.spec.key]:
            if model is None:
                self._refuse(entry.command, "model_unavailable", reason)
            elif entry.sequence is None:
                self._place(entry, model)
        asked, self._asked = self._asked, []
        for command in asked:
            if command.model.key != result.spec.key:
                self._asked.append(command)
            elif model is not None:
                self.probe(command)
            else:
                self._publish(AlternativesReady(command.request, 0, 0, (), reason))

    def _make_room(self, wanted: LoadedModel) -> bool:
        """Unload what was not used for longest, never a model that is writing, until there is memory for `wanted`."""
        while self._models.is_over_memory and len(self._models.loaded) > 1:
            idle = [model for model in self._models.loaded.values() if model is not wanted and not self._works(model)]
            if not idle:
                return False
            self._unload_idle(min(idle, key=lambda model: model.last_used))
        return True

    def _hindrance(self, spec: ModelSpec) -> str:
        """Why it is of no use to load the model now, or nothing."""
        if self._models.is_too_large(spec, filter(self._works, self._models.loaded.values())):
            return _NO_ROOM
        return self._models.recent_failure(spec)

    def _works(self, model: LoadedModel) -> bool:
        return any(map(_is_at_work, self.sequences_of(model)))

    def _unload_idle(self, model: LoadedModel) -> None:
        """Its sequences stay as they are, but for what was computed: they go on when the model is there again."""
        for sequence in self.sequences_of(model):
            model.scheduler.release(sequence)
        self._models.unload(model.spec)

    def close_model(self, spec: ModelSpec) -> None:
        """Unload: its sequences cannot go on until their next context."""
        for entry in [e for e in self._entries.values() if e.command.model.key == spec.key]:
            self._release(entry)
            self._refuse(entry.command, "model_unavailable", "The model was unloaded.")
        for _, probe in [p for p in self._probes.values() if p[0] == spec.key]:
            self.answer(probe, (), "The model was unloaded.")
        self._models.unload(spec)

    def probe(self, command: Alternatives) -> None:
        model = self._models.loaded.get(command.model.key)
        if command.request in self._probes:
            return
        if model is None:
            self._ask_later(command)
            return
        try:
            place, window = find_place(model.runner.vocabulary, model.runner.window, command)
        except PremiseTooLarge as error:
            self._publish(AlternativesReady(command.request, 0, 0, (), str(error)))
        except Exception as error:  # noqa: BLE001 - a text that breaks a tokenizer must not take the engine along
            log(f"tokenizing for {command.model.key} failed: {type(error).__name__}")
            self._publish(AlternativesReady(command.request, 0, 0, (), _UNREADABLE))
        else:
            self._start_probe(command, model, place, window)

    def _ask_later(self, command: Alternatives) -> None:
        reason = self._hindrance(command.model)
        if not reason and len(self._asked) >= _MAX_ASKED:
            reason = "The model is being loaded; try again when it is there."
        if reason:
            self._publish(AlternativesReady(command.request, 0, 0, (), reason))
        else:
            self._asked.append(command)
            self._models.load(command.model)

    def _start_probe(self, command: Alternatives, model: LoadedModel, place: TokenPlace, window: Window) -> None:
        entry = self._entries.get(command.sequence)
        writing = entry.sequence if entry is not None else None
        owner = entry.command.owner if entry is not None else command.sequence
        probe = AlternativesProbe(
            id=command.request,
            owner=owner,
            orders=SequenceParams(0, SamplingParams(), 0, 0, 0),
            window=window,
            vocabulary=model.runner.vocabulary,
            budget=1,
            is_edited=True,
            place=place,
            request=command.request,
        )
        self._probes[command.request] = (command.model.key, probe)
        if writing is not None and model.scheduler.acquire(probe) and writing.slot is not None:
            self._copy_computed(model, writing, probe)

    def answer(self, probe: AlternativesProbe, options: tuple[tuple[str, float], ...], error: str = "") -> None:
        key, _ = self._probes.pop(probe.request)
        self._models.loaded[key].scheduler.release(probe)
        self._publish(AlternativesReady(probe.request, probe.place.start, probe.place.end, options, error))

    def _place(self, entry: SequenceEntry, model: LoadedModel) -> None:
        """Give the entry's context to its sequence. Whatever goes wrong is this sequence's failure only."""
        command, runner = entry.command, model.runner
        orders = SequenceParams(command.epoch, command.sampling, command.attempt, command.index, command.run_tokens)
        try:
            head = pinned_head(runner.vocabulary, command.premise, runner.window)
            early = stagger(command.sequence, runner.window)
            window = build_window(runner.vocabulary, runner.window, head, command.before, command.pieces, early)
        except PremiseTooLarge as error:
            self._release(entry)
            self._refuse(command, "too_large", str(error))
            return
        except Exception as error:  # noqa: BLE001 - a text that breaks a tokenizer must not take the engine along
            log(f"tokenizing for {command.model.key} failed: {type(error).__name__}")
            self._release(entry)
            self._refuse(command, "engine", _UNREADABLE)
            return
        if entry.sequence is None:
            entry.sequence = Sequence(command.sequence, command.owner, orders, window, runner.vocabulary, entry.budget)
            events = entry.sequence.placed()
        else:
            events = entry.sequence.revise(orders, window, entry.budget)
        for event in events:
            self._publish(event)

    def _copy_computed(self, model: LoadedModel, source: Sequence, probe: AlternativesProbe) -> None:
        """Spare the probe what the sequence has computed of the same tokens."""
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

    def _refuse(self, command: Set, code: str, message: str) -> None:
        self._publish(Failed(command.sequence, command.epoch, code, message))


def _is_at_work(sequence: Sequence) -> bool:
    return sequence.num_pending > 0 or (sequence.budget > 0 and not sequence.is_stopped)
