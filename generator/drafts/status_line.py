"""Status line: what pages are told of a draft's state, and when.

Owns the phase in one word, the speed and the reaction time. Knows nothing of how a draft changes or of the engine: it
is given both states as values. Used on the draft's own thread only.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from generator.engine_link.shared_engine import EngineStatus
from stories.draft.state import DraftState
from stories.text.update import MODEL_CLIENT, SERVER_CLIENT, Update

SPEED_SECONDS = 3.0
PULSE_SECONDS = 1.0  # speeds are sent this often at most
PATIENCE_SECONDS = 2.0  # a draft without a token for longer waits for its turn
SHORT_HOLD_SECONDS = 0.3  # a hold that is over sooner is not worth showing


# The phase in one word, a detail, and the progress of a load from 0 to 1.
_Phase = tuple[str, str, float | None]


class StatusLine:
    """`reacted(since_edit, since_hold)` is called with the seconds that the first token after an edit took."""

    def __init__(self, draft: str, reacted: Callable[[float, float], None]) -> None:
        self._draft, self._reacted = draft, reacted
        self._written: deque[tuple[float, int]] = deque()  # (time, tokens) of the last SPEED_SECONDS
        self._received = 0.0  # when the last edit was received, accepted or not
        self._unanswered: float | None = None  # when the last edit was received that no token has followed yet
        self._reaction_ms: int | None = None
        self._quiet_since = 0.0  # the last token, or the beginning of the epoch
        self._held_since: float | None = None
        self._epoch = -1
        self._told: tuple[Any, ...] = ()  # phase and settings as pages know them: a change is sent at once
        self._last: dict[str, Any] = {}
        self._sent_at = 0.0

    def edited(self, received: float) -> None:
        """Note when an edit was received that is about to be applied, or refused."""
        self._received = received

    def wrote(self, updates: Sequence[Update], state: DraftState, now: float) -> None:
        """Note the updates that were just committed. The first token after an edit has seen it."""
        tokens = 0
        for update in updates:
            tokens += len(update.tokens) if update.client == MODEL_CLIENT else 0
            if update.client not in (MODEL_CLIENT, SERVER_CLIENT):
                self._unanswered = self._received
            elif update.client == MODEL_CLIENT and self._unanswered is not None:
                self._measure(self._unanswered, state, now)
        if tokens:
            self._written.append((now, tokens))
            self._quiet_since = now

    def _measure(self, received: float, state: DraftState, now: float) -> None:
        """Count the reaction time: from the receipt of the edit to the commit of the first token after it."""
        since_edit = max(0.0, now - received)
        self._reacted(since_edit, max(0.0, now - max(received, state.held_until)))
        self._reaction_ms, self._unanswered = round(since_edit * 1000), None

    def next_pulse(self, state: DraftState, now: float) -> float | None:
        """Return when the state should be sent again although no event comes: speeds change while the model writes."""
        return max(now, self._sent_at + PULSE_SECONDS) if state.is_writing else None

    def due(self, state: DraftState, engine: EngineStatus, now: float, always: bool) -> dict[str, Any] | None:
        """Return the body of a `state` event, or None when pages know it already. `always` returns a body."""
        self._follow(state, now)
        told = (*self._phase(state, engine, now), state.settings)
        must = always or told != self._told
        if not must and now - self._sent_at < PULSE_SECONDS:
            return None
        body = self.body(state, engine, now)
        is_news = must or body != self._last
        self._told, self._last, self._sent_at = told, body, now
        return body if is_news else None

    def _follow(self, state: DraftState, now: float) -> None:
        """Note when an epoch or a hold began."""
        if not state.is_writing:
            self._unanswered = None  # the model will not answer the edit
        if state.epoch != self._epoch:
            self._epoch, self._quiet_since = state.epoch, max(now, state.held_until)
        if not state.is_held(now):
            self._held_since = None
        elif self._held_since is None:
            self._held_since = now

    def phase(self, state: DraftState, engine: EngineStatus, now: float) -> str:
        """Return the phase in one word."""
        return self._phase(state, engine, now)[0]

    def body(self, state: DraftState, engine: EngineStatus, now: float) -> dict[str, Any]:
        """Return the body of a `state` event."""
        phase, detail, progress = self._phase(state, engine, now)
        body: dict[str, Any] = {
            "draft": self._draft,
            "state": phase,
            "model": state.settings.model,
            "settings": state.settings.to_json(),
        }
        if detail:
            body["detail"] = detail
        if progress is not None:
            body["progress"] = progress
        if phase == "writing":
            body["tokens_per_second"] = self._speed(now)
        if self._reaction_ms is not None:
            body["reaction_ms"] = self._reaction_ms
        if state.base:
            body["window"] = state.base
        return body

    def _phase(self, state: DraftState, engine: EngineStatus, now: float) -> _Phase:
        if not state.is_writing:
            if state.outcome in ("ended", "failed"):
                return state.outcome, state.reason, None
            return "paused", state.outcome, None
        if not engine.is_up:
            return "loading", "The engine is starting", None
        if engine.model is None or engine.model.state != "ready":
            return "loading", "", round(engine.model.progress, 3) if engine.model else 0.0
        if state.is_held(now):
            return self._held_phase(state, now)
        if state.granted <= state.made:
            return "waiting", "viewer", None
        if now - self._quiet_since > _patience(state):
            return "waiting", "turn", None
        return "writing", "", None

    def _held_phase(self, state: DraftState, now: float) -> _Phase:
        """`held`, unless the hold is so short that every page would be told twice for a moment that no person sees."""
        since = now if self._held_since is None else self._held_since
        lasts = state.is_held(max(now, since + SHORT_HOLD_SECONDS))
        if self._told[:1] in (("writing",), ("waiting",)) and not lasts:
            phase, detail, progress, _ = self._told
            return phase, detail, progress
        return "held", "", None

    def _speed(self, now: float) -> float:
        """Tokens per second over the last seconds."""
        while self._written and self._written[0][0] < now - SPEED_SECONDS:
            self._written.popleft()
        if not self._written:
            return 0.0
        since = max(now - self._written[0][0], 0.25)
        return round(sum(tokens for _, tokens in self._written) / since, 1)


def _patience(state: DraftState) -> float:
    """How long a writing draft may go without a token, in seconds. A slow pace makes it longer."""
    pace = state.settings.sampling.get("pace")
    return max(PATIENCE_SECONDS, 2 * 60 / pace) if pace else PATIENCE_SECONDS
