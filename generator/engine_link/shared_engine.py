"""Shared engine: the one engine process, as all live drafts use it, and each draft's link to it.

Owns what each draft told the engine last, what the engine last said of each model, the questions that wait for an
answer, and the translation of the engine's events into a draft's. Knows nothing of which drafts are open.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from typing import Any, Protocol

from generator.engine_link.order import Sent, SequenceName, WritingModel, needs_context, order
from generator.models.menu import MenuEntry
from generator.wire.messages import (
    Alternatives,
    AlternativesReady,
    Chunk,
    Drop,
    Ended,
    EngineCommand,
    EngineEvent,
    Failed,
    ModelSpec,
    Rolled,
    Status,
)
from generator.wire.sampling_params import SamplingParams
from stories.draft.events import FromEngine, RunStopped, WindowMoved, Wrote
from stories.draft.state import DraftState
from stories.errors import Refused
from stories.text.update import Token
from stories.text.utf16 import to_units

ALTERNATIVES_SECONDS = 60.0  # the model may have to be loaded first

log = logging.getLogger(__name__)


class Engine(Protocol):
    """What `generator.engine_host.supervisor.EngineSupervisor` offers."""

    @property
    def is_up(self) -> bool: ...

    @property
    def restarts(self) -> int: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def send(self, command: EngineCommand) -> None: ...


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """Whether the engine serves commands, and what it last said of the draft's model (None: nothing yet)."""

    is_up: bool
    model: Status | None


class MakeEngine(Protocol):
    """Make an engine that reports to these functions, one call after another, on a thread of its own."""

    def __call__(
        self,
        *,
        on_event: Callable[[EngineEvent], None],
        on_up: Callable[[], None],
        on_down: Callable[[str], None],
    ) -> Engine: ...


class EngineLink:
    """One draft's side of the engine. Used on the draft's own thread only.

    `statuses` is what the engine last said of each model; the shared engine keeps it up to date.
    """

    def __init__(self, name: SequenceName, engine: Engine, statuses: Mapping[ModelSpec, Status]) -> None:
        self._name, self._engine, self._statuses = name, engine, statuses
        self._sent: Sent | None = None
        self._sampling: tuple[Mapping[str, Any], SamplingParams] | None = None

    def needs_context(self, state: DraftState) -> bool:
        """Whether `tell` will send a context, which takes the menu's entry."""
        return needs_context(self._sent, state)

    def tell(self, state: DraftState, entry: MenuEntry | None) -> int | None:
        """Send what has changed. Returns where the sent context begins; None where no context was sent."""
        model = WritingModel(entry, self._sampling_of(state)) if entry else None
        told = order(self._sent, state, self._name, model)
        self._sent = told.sent
        for command in told.commands:
            self._engine.send(command)
        return told.base

    def status(self) -> EngineStatus:
        """Return whether the engine is up, and the status of the model that was told to write."""
        return EngineStatus(self._engine.is_up, self._statuses.get(self._sent.model) if self._sent else None)

    def drop(self) -> None:
        """Tell the engine that the draft has ended, so that its slot becomes free."""
        self._engine.send(Drop(self._name.draft))

    def _sampling_of(self, state: DraftState) -> SamplingParams:
        """The draft's sampling parameters, kept from one context to the next: every edit sends a context."""
        given = state.settings.sampling
        if self._sampling is None or self._sampling[0] is not given:
            self._sampling = (given, SamplingParams().merged(given))
        return self._sampling[1]


class SharedEngine:
    """`on_draft(draft, event)` gets what concerns a draft, `on_status(status)` what concerns a model; `on_up()` and
    `on_down()` are called when the engine serves and when it is gone."""

    def __init__(
        self,
        make_engine: MakeEngine,
        on_draft: Callable[[str, FromEngine], None],
        on_status: Callable[[Status], None],
        on_up: Callable[[], None],
        on_down: Callable[[], None],
    ) -> None:
        self._on_draft, self._on_status, self._on_down = on_draft, on_status, on_down
        self._statuses: dict[ModelSpec, Status] = {}
        self._questions: dict[str, Future[AlternativesReady]] = {}
        self._tokens = 0
        self._engine = make_engine(on_event=self._receive, on_up=on_up, on_down=self._lose)

    @property
    def is_up(self) -> bool:
        """Whether commands are served."""
        return self._engine.is_up

    @property
    def restarts(self) -> int:
        """The number of engine processes that were started after the first."""
        return self._engine.restarts

    @property
    def tokens(self) -> int:
        """The number of tokens that the engine has generated, stale ones included."""
        return self._tokens

    def start(self) -> None:
        """Start the engine process; it serves some seconds later."""
        self._engine.start()

    def stop(self) -> None:
        """Stop the engine process and wait for its end."""
        self._engine.stop()

    def link(self, name: SequenceName) -> EngineLink:
        """Return a draft's link to the engine."""
        return EngineLink(name, self._engine, self._statuses)

    def ask(self, question: Alternatives) -> Future[AlternativesReady]:
        """Send a question. Raises Refused where the engine is down; `answer` waits for the result."""
        if not self._engine.is_up:
            raise Refused("engine_down", "The engine is starting; try again in a moment.")
        waiting = self._questions[question.request] = Future()
        self._engine.send(question)
        return waiting

    def answer(self, waiting: Future[AlternativesReady]) -> AlternativesReady:
        """Wait for the answer to a question. Raises Refused."""
        try:
            return waiting.result(ALTERNATIVES_SECONDS)
        except FutureTimeout as error:
            for request in [name for name, asked in list(self._questions.items()) if asked is waiting]:
                self._questions.pop(request, None)
            raise Refused("engine_down", "The engine did not answer in time; try again.") from error

    def _receive(self, event: EngineEvent) -> None:
        match event:
            case Chunk() | Ended() | Rolled() | Failed():
                self._tokens += len(event.tokens) if isinstance(event, Chunk) else 0
                self._on_draft(event.sequence, draft_event(event))
            case Status():
                self._statuses[event.model] = event
                self._on_status(event)
            case AlternativesReady():
                waiting = self._questions.pop(event.request, None)
                if waiting:
                    waiting.set_result(event)
            case _:
                log.debug("the engine sent %s", event.kind)

    def _lose(self, reason: str) -> None:
        log.warning("the engine is down: %s", reason)
        self._statuses.clear()
        while self._questions:
            _, waiting = self._questions.popitem()
            waiting.set_exception(Refused("engine_down", "The engine has stopped; try again in a moment."))
        self._on_down()


def draft_event(event: Chunk | Ended | Rolled | Failed) -> FromEngine:
    """Return the engine's event in the terms of the reducer."""
    match event:
        case Chunk():
            tokens = tuple(Token(*token) for token in event.tokens)
            return Wrote(event.epoch, to_units(event.text), tokens, event.tokenizer)
        case Rolled():
            return WindowMoved(event.epoch, event.base)
        case Ended():
            return RunStopped(event.epoch, "ended")
        case Failed():
            return RunStopped(event.epoch, "failed", event.message)
