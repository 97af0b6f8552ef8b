"""Loaded models: the models in memory, the models that are being loaded, and the reasons of failed loads.

Owns the loading threads, the memory budget, and each model's state between steps. Knows nothing of sequences' texts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from generator.engine.networks.fake import load_fake
from generator.engine.networks.memory_size import memory_size
from generator.engine.networks.runner import DEFAULT_SLOTS, LoadFailed, LoadOptions, Runner
from generator.engine.process.log import log
from generator.engine.scheduling.scheduler import Scheduler
from generator.engine.tokens.window import MIN_WINDOW
from generator.wire.messages import EngineEvent, ModelSpec, Status

# An edit does not retry a failed load for this long.
_RETRY_SECONDS = 10.0


class StepBudget:
    """The maximum number of tokens of a step, learned from step times so that a step takes at most `target` seconds."""

    def __init__(self, target: float = 0.06, tokens: int = 64, low: int = 16, high: int = 1024) -> None:
        self._target, self._low, self._high = target, low, high
        self.tokens = tokens

    def seconds(self, num_tokens: int) -> float:
        """Return the estimated time to compute `num_tokens` tokens alone."""
        return num_tokens / self.tokens * self._target

    def learn(self, num_tokens: int, seconds: float) -> None:
        """Adjust the budget after a step of `num_tokens` tokens took `seconds`."""
        if seconds > self._target:
            self.tokens = max(self._low, int(min(self.tokens, num_tokens) * max(0.5, self._target / seconds)))
        elif num_tokens >= self.tokens and seconds < self._target * 0.6:
            self.tokens = min(self._high, self.tokens + self.tokens // 4)


@dataclass(eq=False)
class LoadedModel:
    """A model in memory and its state between steps.

    `last_used` is the number of its last use, counted over all models. `has_room` tells whether a number of bytes is
    available for more slots.
    """

    spec: ModelSpec
    runner: Runner
    has_room: Callable[[int], bool]
    scheduler: Scheduler = field(init=False)
    step_budget: StepBudget = field(default_factory=StepBudget)
    last_used: int = 0
    _fixed_bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.scheduler = Scheduler(min(self.runner.num_slots, DEFAULT_SLOTS), self._may_grow)
        self._fixed_bytes = memory_size(self.runner) - self.runner.num_slots * self.runner.slot_bytes

    @property
    def num_bytes(self) -> int:
        """The model's size in bytes, including all slots used so far. Unloading frees the slots, nothing else does."""
        return self._fixed_bytes + self.scheduler.num_slots * self.runner.slot_bytes

    def _may_grow(self) -> bool:
        return self.scheduler.num_slots < self.runner.num_slots and self.has_room(self.runner.slot_bytes)


@dataclass(frozen=True, slots=True)
class LoadFinished:
    """The result that a loading thread hands to the loop: a runner, or the reason of the failure."""

    spec: ModelSpec
    runner: Runner | None
    reason: str = ""


class LoadedModels:
    """The loaded models and the running loads.

    Only the loop's thread may call the methods. The loading threads call `publish` and `finished` as well.
    """

    def __init__(
        self, options: LoadOptions, publish: Callable[[EngineEvent], None], finished: Callable[[LoadFinished], None]
    ) -> None:
        self._options = options
        self._publish = publish
        self._finished = finished
        self._loading: set[str] = set()
        self._failures: dict[str, tuple[float, str]] = {}
        self._rejected_sizes: dict[str, int] = {}
        self._uses = 0
        self.loaded: dict[str, LoadedModel] = {}

    @property
    def is_over_memory(self) -> bool:
        """Whether the loaded models take more than the memory budget."""
        return self._used_bytes > self._options.memory

    @property
    def _used_bytes(self) -> int:
        return sum(model.num_bytes for model in self.loaded.values())

    def _has_room(self, num_bytes: int) -> bool:
        """Whether `num_bytes` more for additional slots leave half of the memory budget to other models."""
        return self._used_bytes + num_bytes <= self._options.memory // 2

    def use(self, model: LoadedModel) -> None:
        """Mark the model as the most recently used one, which is unloaded last when memory is short."""
        self._uses += 1
        model.last_used = self._uses

    def load(self, spec: ModelSpec) -> None:
        """Start to load the model unless a load is running."""
        if spec.key not in self._loading:
            self._loading.add(spec.key)
            self._publish(Status(spec, "loading"))
            threading.Thread(target=self._load, args=(spec,), name="loading", daemon=True).start()

    def recent_failure(self, spec: ModelSpec) -> str:
        """Return the reason of a failed load in the last seconds, or an empty string."""
        failed_at, reason = self._failures.get(spec.key, (0.0, ""))
        return reason if time.monotonic() - failed_at < _RETRY_SECONDS else ""

    def add(self, spec: ModelSpec, runner: Runner) -> LoadedModel:
        """Add a model that is ready to run."""
        model = self.loaded[spec.key] = LoadedModel(spec, runner, self._has_room)
        self.use(model)
        return model

    def finish(self, result: LoadFinished) -> LoadedModel | None:
        """Return the loaded model, or None if the load failed."""
        self._loading.discard(result.spec.key)
        if result.runner is None:
            self.fail(result.spec, result.reason)
            return None
        return self.add(result.spec, result.runner)

    def fail(self, spec: ModelSpec, reason: str) -> None:
        """Remove the model and publish the reason. `recent_failure` returns it for a while."""
        self.loaded.pop(spec.key, None)
        self._failures[spec.key] = time.monotonic(), reason
        self._publish(Status(spec, "failed", reason=reason))

    def unload(self, spec: ModelSpec) -> None:
        """Remove the model from memory."""
        del self.loaded[spec.key]
        self._publish(Status(spec, "unloaded"))

    def reject(self, model: LoadedModel) -> None:
        """Unload a model that does not fit into memory now, and note its size.

        This is not a failure, because the model can be loaded once sequences of other models pause.
        """
        self._rejected_sizes[model.spec.key] = model.num_bytes
        self.unload(model.spec)

    def is_too_large(self, spec: ModelSpec, others: Iterable[LoadedModel]) -> bool:
        """Whether the model is known not to fit into memory together with `others`."""
        used = sum(other.num_bytes for other in others)
        return used > 0 and used + self._rejected_sizes.get(spec.key, 0) > self._options.memory

    def announce(self, model: LoadedModel) -> None:
        """Publish that the model is ready."""
        self._publish(Status(model.spec, "ready", progress=1.0, precision=model.runner.precision))

    def _load(self, spec: ModelSpec) -> None:
        try:
            if spec.window is not None and spec.window < MIN_WINDOW:
                raise LoadFailed(f"A window of {spec.window} tokens is too small. The minimum is {MIN_WINDOW}.")
            runner = self._make_runner(spec, lambda progress: self._publish(Status(spec, "loading", progress)))
        except LoadFailed as error:
            self._finished(LoadFinished(spec, None, str(error)))
        except Exception as error:  # noqa: BLE001 - any error that a model's files cause in a library is a failed load
            log(f"Loading {spec.key} failed: {type(error).__name__}: {error}")
            self._finished(LoadFinished(spec, None, f"The model could not be loaded ({type(error).__name__})."))
        else:
            self._finished(LoadFinished(spec, runner))

    def _make_runner(self, spec: ModelSpec, on_progress: Callable[[float], None]) -> Runner:
        if spec.source == "fake":
            return load_fake(spec, on_progress)
        # The import is here because the fake model must work without the large libraries.
        from generator.engine.loading.load import load_model

        return load_model(spec, self._options, on_progress)
