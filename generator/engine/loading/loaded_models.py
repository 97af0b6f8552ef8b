"""Models: which are loaded, which are being loaded, and why one is not.

Owns the loading threads and what each model keeps between steps. Knows nothing of sequences' texts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from generator.engine.networks.fake import load_fake
from generator.engine.networks.memory_size import footprint
from generator.engine.networks.runner import USUAL_SLOTS, LoadFailed, LoadOptions, Runner
from generator.engine.process.log import log
from generator.engine.scheduling.scheduler import Scheduler
from generator.engine.tokens.window import MIN_WINDOW
from generator.wire.messages import EngineEvent, ModelSpec, Status

# So long a model that could not be loaded is not tried again for a mere edit.
_RETRY_SECONDS = 10.0


class StepBudget:
    """How many tokens a step may compute so that it stays under `target` seconds; learns from how long steps took."""

    def __init__(self, target: float = 0.06, tokens: int = 64, low: int = 16, high: int = 1024) -> None:
        self._target, self._low, self._high = target, low, high
        self.tokens = tokens

    def seconds(self, num_tokens: int) -> float:
        """How long computing so many tokens takes when nothing else is to do."""
        return num_tokens / self.tokens * self._target

    def learn(self, num_tokens: int, seconds: float) -> None:
        if seconds > self._target:
            self.tokens = max(self._low, int(min(self.tokens, num_tokens) * max(0.5, self._target / seconds)))
        elif num_tokens >= self.tokens and seconds < self._target * 0.6:
            self.tokens = min(self._high, self.tokens + self.tokens // 4)


@dataclass(eq=False)
class LoadedModel:
    """`last_used` counts, as all models' uses are counted. `has_room` says whether so many bytes are to spare."""

    spec: ModelSpec
    runner: Runner
    has_room: Callable[[int], bool]
    scheduler: Scheduler = field(init=False)
    step_budget: StepBudget = field(default_factory=StepBudget)
    last_used: int = 0
    _fixed_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(min(self.runner.num_slots, USUAL_SLOTS), self._may_grow)
        self._fixed_bytes = footprint(self.runner) - self.runner.num_slots * self.runner.slot_bytes

    @property
    def num_bytes(self) -> int:
        """What it takes with the slots that are used by now. None of them is given back before it is unloaded."""
        return self._fixed_bytes + self.scheduler.num_slots * self.runner.slot_bytes

    def _may_grow(self) -> bool:
        return self.scheduler.num_slots < self.runner.num_slots and self.has_room(self.runner.slot_bytes)


@dataclass(frozen=True, slots=True)
class LoadFinished:
    """What a loading thread hands to the loop: a model, or the reason why there is none."""

    spec: ModelSpec
    runner: Runner | None
    reason: str = ""


class LoadedModels:
    """Called from the loop's thread only. `publish` and `finished` are called from loading threads, too."""

    def __init__(
        self, options: LoadOptions, publish: Callable[[EngineEvent], None], finished: Callable[[LoadFinished], None]
    ) -> None:
        self._options = options
        self._publish = publish
        self._finished = finished
        self._loading: set[str] = set()
        self._failures: dict[str, tuple[float, str]] = {}
        self._sizes: dict[str, int] = {}  # of those that found no memory
        self._uses = 0
        self.loaded: dict[str, LoadedModel] = {}

    @property
    def is_over_memory(self) -> bool:
        return self._taken > self._options.memory

    @property
    def _taken(self) -> int:
        return sum(model.num_bytes for model in self.loaded.values())

    def _has_room(self, num_bytes: int) -> bool:
        """Whether there is memory for more slots than usual. Half of all is kept for other models."""
        return self._taken + num_bytes <= self._options.memory // 2

    def use(self, model: LoadedModel) -> None:
        """It writes, or somebody just asked for it: the others go first when memory is short."""
        self._uses += 1
        model.last_used = self._uses

    def load(self, spec: ModelSpec) -> None:
        """Begin to load unless that is under way; a loaded model is announced again."""
        if spec.key in self.loaded:
            self.announce(self.loaded[spec.key])
        elif spec.key not in self._loading:
            self._loading.add(spec.key)
            self._publish(Status(spec, "loading"))
            threading.Thread(target=self._load, args=(spec,), name="loading", daemon=True).start()

    def recent_failure(self, spec: ModelSpec) -> str:
        """Why the model could not be loaded a moment ago, or nothing."""
        failed_at, reason = self._failures.get(spec.key, (0.0, ""))
        return reason if time.monotonic() - failed_at < _RETRY_SECONDS else ""

    def add(self, spec: ModelSpec, runner: Runner) -> LoadedModel:
        model = self.loaded[spec.key] = LoadedModel(spec, runner, self._has_room)
        self.use(model)
        return model

    def finish(self, result: LoadFinished) -> LoadedModel | None:
        """The model that was loaded; None if there is none, or nobody wants it any more."""
        if result.spec.key not in self._loading:
            return None
        self._loading.discard(result.spec.key)
        if result.runner is None:
            self.fail(result.spec, result.reason)
            return None
        return self.add(result.spec, result.runner)

    def fail(self, spec: ModelSpec, reason: str) -> None:
        """There is no such model, for a while."""
        self.loaded.pop(spec.key, None)
        self._failures[spec.key] = time.monotonic(), reason
        self._publish(Status(spec, "failed", reason=reason))

    def unload(self, spec: ModelSpec) -> None:
        self._loading.discard(spec.key)
        self.loaded.pop(spec.key, None)
        self._publish(Status(spec, "unloaded"))

    def turn_away(self, model: LoadedModel) -> None:
        """There is no memory for it now. That is no failure: it can be had as soon as others pause."""
        self._sizes[model.spec.key] = model.num_bytes
        self.unload(model.spec)

    def is_too_large(self, spec: ModelSpec, others: Iterable[LoadedModel]) -> bool:
        """Whether it is known by now that there is no memory for the model beside `others`."""
        taken = sum(other.num_bytes for other in others)
        return taken > 0 and taken + self._sizes.get(spec.key, 0) > self._options.memory

    def announce(self, model: LoadedModel) -> None:
        runner = model.runner
        self._publish(Status(model.spec, "ready", progress=1.0, window=runner.window, precision=runner.precision))

    def _load(self, spec: ModelSpec) -> None:
        try:
            if spec.window is not None and spec.window < MIN_WINDOW:
                raise LoadFailed(f"A window of {spec.window} tokens is too small; the least is {MIN_WINDOW}.")
            runner = self._make_runner(spec, lambda progress: self._publish(Status(spec, "loading", progress)))
        except LoadFailed as error:
            self._finished(LoadFinished(spec, None, str(error)))
        except Exception as error:  # noqa: BLE001 - whatever a model's files make libraries raise is a failed load
            log(f"loading {spec.key} failed: {type(error).__name__}: {error}")
            self._finished(LoadFinished(spec, None, f"The model could not be loaded ({type(error).__name__})."))
        else:
            self._finished(LoadFinished(spec, runner))

    def _make_runner(self, spec: ModelSpec, report: Callable[[float], None]) -> Runner:
        if spec.source == "fake":
            return load_fake(spec, report)
        # Imported here so that the fake model needs none of the large libraries.
        from generator.engine.loading.load import load_model

        return load_model(spec, self._options, report)
