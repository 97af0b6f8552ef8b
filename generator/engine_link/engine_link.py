"""Engine link: the commands that bring the engine from what it was told last to a draft's present state.

Owns the difference between the two (`order`, a pure function), so that start, edit, retry, hand-over and recovery are
one path. Knows nothing of the document's rules.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from generator.engine_link.context import context_of, reachable_base
from generator.engine_link.shared_engine import EngineStatus, SharedEngine
from generator.models.menu import MenuEntry
from generator.wire.messages import Budget, Drop, EngineCommand, Premise, Set
from generator.wire.sampling_params import SamplingParams
from stories.draft.state import DraftState

AMPLE_TOKENS = 256  # while the engine may generate this many more, a larger budget can wait


@dataclass(frozen=True, slots=True)
class Sent:
    """What the engine was told last: an epoch, its budget, and the key of its model."""

    epoch: int
    budget: int
    model: str


@dataclass(frozen=True, slots=True)
class SequenceName:
    """A draft as the engine knows it. `mode` is `continue` or `prompt`."""

    draft: str
    owner: str
    mode: str


@dataclass(frozen=True, slots=True)
class Order:
    """The `commands`, what the engine has been told after them, and where the sent context begins.

    `base` is None when no context is sent.
    """

    commands: tuple[EngineCommand, ...]
    sent: Sent | None
    base: int | None = None


class EngineLink:
    """One draft's side of the engine. Used on the draft's own thread only."""

    def __init__(self, name: SequenceName, engine: SharedEngine) -> None:
        self._name, self._engine = name, engine
        self._sent: Sent | None = None

    def needs_context(self, state: DraftState) -> bool:
        """Whether `tell` will send a context, which needs the menu's entry."""
        return state.is_writing and (self._sent is None or self._sent.epoch != state.epoch)

    def tell(self, state: DraftState, entry: MenuEntry | None) -> int | None:
        """Send what has changed. Returns where the sent context begins; None where no context was sent."""
        orders = order(self._sent, state, self._name, entry)
        self._sent = orders.sent
        for command in orders.commands:
            self._engine.send(command)
        return orders.base

    def status(self) -> EngineStatus:
        """Return whether the engine is up, and the status of the model that was told to write."""
        return self._engine.status(self._sent.model if self._sent else None)

    def drop(self) -> None:
        """The draft ends: the engine may give its slot to another one."""
        self._engine.send(Drop(self._name.draft))


def order(sent: Sent | None, state: DraftState, name: SequenceName, entry: MenuEntry | None) -> Order:
    """Return the commands that bring the engine from `sent` to `state`."""
    if not state.is_writing:
        return Order((Budget(name.draft, sent.epoch, 0),) if sent else (), None)
    if sent is None or sent.epoch != state.epoch:
        assert entry is not None, "a context is for a model"
        return _context_order(state, name, entry)
    # Every page says what it has seen, and each time there is a little more to grant.
    is_ample = state.granted > sent.budget > state.made + AMPLE_TOKENS
    if sent.budget == state.granted or is_ample:
        return Order((), sent)
    return Order((Budget(name.draft, state.epoch, state.granted),), replace(sent, budget=state.granted))


def _context_order(state: DraftState, name: SequenceName, entry: MenuEntry) -> Order:
    base = reachable_base(state, entry.spec.window)
    context = context_of(state, base, entry.spec.window)
    sampling = SamplingParams().merged(state.settings.sampling)
    if sampling.seed is None:
        sampling = sampling.merged({"seed": state.run.seed if state.run else 0})
    command = Set(
        sequence=name.draft,
        epoch=state.epoch,
        owner=name.owner,
        model=entry.spec,
        premise=premise_of(state, name.mode, entry),
        before=context.before,
        pieces=context.pieces,
        sampling=sampling,
        attempt=state.attempt,
        index=state.spans.model_tokens,
        run_tokens=state.run.tokens if state.run else 0,
        budget=state.granted,
    )
    return Order((command,), Sent(state.epoch, state.granted, entry.spec.key), base)


def premise_of(state: DraftState, mode: str, entry: MenuEntry) -> Premise | None:
    """Return the writing prompt in the entry's template; None in continue mode."""
    if mode != "prompt" or entry.template is None:
        return None
    return Premise(entry.template, state.settings.premise or "")
