"""Scribe: tells the engine what one draft wants from it, and nothing twice.

Owns what was sent last. Commands follow from the difference between that and the draft's state, so
start, edit, retry, hand-over and recovery are one path. Knows nothing of the document's rules.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from typing import Any

from generator.drafts.context import context_of, reachable_base
from generator.drafts.services import Surroundings
from generator.wire.messages import Alternatives, AlternativesReady, Budget, Drop, Premise, Set, Status
from generator.wire.sampling_params import SamplingParams
from stories.draft.state import DraftState
from stories.errors import Refused
from stories.text.update import Update

AMPLE_TOKENS = 256  # so many that the engine may still make are enough for now
ALTERNATIVES_SECONDS = 60.0  # the model may have to be loaded first


class Scribe:
    def __init__(self, draft: str, owner: str, mode: str, around: Surroundings) -> None:
        self._draft, self._owner, self._mode, self._around = draft, owner, mode, around
        self._sent: tuple[int, int] | None = None  # epoch and budget
        self._model: str | None = None  # the model's key that went with the last context
        self._asked: dict[str, tuple[int, int, Future[AlternativesReady]]] = {}

    def tell(self, state: DraftState, moved: Callable[[int], DraftState]) -> None:
        """Sends what changed since the last time. `moved(base)` is told when the context begins later.

        Raises Refused where the draft's model can't write.
        """
        if not state.writes:
            if self._sent:
                self._around.send(Budget(self._draft, self._sent[0], 0))
            self._sent = None
            return
        if self._sent is None or self._sent[0] != state.epoch:
            self._send_set(state, moved)
        elif self._sent[1] == state.granted or state.granted > self._sent[1] > state.made + AMPLE_TOKENS:
            return  # Every page says what it has seen, and each time there is a little more to grant.
        else:
            self._around.send(Budget(self._draft, state.epoch, state.granted))
        self._sent = (state.epoch, state.granted)

    def _send_set(self, state: DraftState, moved: Callable[[int], DraftState]) -> None:
        entry = self._around.entry(self._mode, state.settings.model)
        self._model = entry.spec.key
        base = reachable_base(state, entry.spec.window)
        if base != state.base:
            state = moved(base)
        context = context_of(state, base, entry.spec.window)
        sampling = SamplingParams().merged(state.settings.sampling)
        if sampling.seed is None:
            sampling = sampling.merged({"seed": state.run.seed if state.run else 0})
        self._around.send(
            Set(
                sequence=self._draft,
                epoch=state.epoch,
                owner=self._owner,
                model=entry.spec,
                premise=self._premise(state, entry.template),
                before=context.before,
                pieces=context.pieces,
                sampling=sampling,
                attempt=state.attempt,
                index=state.spans.model_tokens,
                run_tokens=state.run.tokens if state.run else 0,
                budget=state.granted,
            )
        )

    def _premise(self, state: DraftState, template: str | None) -> Premise | None:
        if self._mode != "prompt" or template is None:
            return None
        return Premise(template, state.settings.premise or "")

    def model_status(self) -> Status | None:
        """What the engine last said of the model that is to write; None before it was asked to load it."""
        return self._around.model_status(self._model) if self._model else None

    @property
    def engine_is_up(self) -> bool:
        return self._around.engine_is_up()

    def forget(self) -> None:
        """The session ends: the engine may give the sequence's slot away."""
        self._around.send(Drop(self._draft))

    # --- alternatives: asked in the actor's turn, awaited by whoever asked ---

    def ask_alternatives(self, state: DraftState, over: tuple[Update, ...], at: int) -> str:
        """Sends the question and returns its name for `alternatives`. `at` is a place before `over`."""
        entry = self._around.entry(self._mode, state.settings.model)
        if not self.engine_is_up:
            raise Refused("engine_down", "the engine is starting; try again in a moment")
        if at > len(state.text) - sum(update.changes.new_length - update.changes.length for update in over):
            raise Refused("invalid", "that place is past the end of the text at that revision")
        for update in over:
            at = update.changes.map_pos(at, 1)
        base = reachable_base(state, entry.spec.window)
        if at < base:
            base = 0
        context = context_of(state, base, entry.spec.window, whole=True)
        request = secrets.token_hex(8)
        self._asked[request] = (state.revision, base, self._around.expect(request))
        premise = self._premise(state, entry.template)
        self._around.send(
            Alternatives(request, self._draft, entry.spec, premise, context.before, context.pieces, at - base)
        )
        return request

    def alternatives(self, request: str) -> dict[str, Any]:
        revision, base, ready = self._asked.pop(request)
        try:
            answer = ready.result(ALTERNATIVES_SECONDS)
        except FutureTimeout as error:
            raise Refused("engine_down", "the engine did not answer in time; try again") from error
        if answer.error:
            raise Refused("invalid", answer.error)
        return {
            "revision": revision,
            "range": [base + answer.start, base + answer.end],
            "options": [{"text": text, "probability": probability} for text, probability in answer.options],
        }
