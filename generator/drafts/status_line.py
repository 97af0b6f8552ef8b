"""Report: what a draft's state line says, and when it is worth saying again.

Owns the phase in one word, the speed and the reaction time. Knows nothing of how any of it came about.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from generator.drafts.engine_link import Scribe
from stories.draft.state import DraftState
from stories.text.update import MODEL_CLIENT, SERVER_CLIENT, Update

SPEED_SECONDS = 3.0
PULSE_SECONDS = 1.0
TURN_SECONDS = 2.0
SHORT_HOLD_SECONDS = 0.3


class StatusLine:
    """`reacted(since_edit, since_hold)` hears, in seconds, how long the first token after an edit took."""

    def __init__(self, draft: str, reacted: Callable[[float, float], None]) -> None:
        self._draft, self._reacted = draft, reacted
        self._written: deque[tuple[float, int]] = deque()  # (when, tokens) of the last SPEED_SECONDS
        self._received = 0.0  # when the last edit came, whatever became of it
        self._edited: float | None = None  # receipt of the last edit no token has answered yet
        self._reaction_ms: int | None = None
        self._quiet_since = 0.0  # the last token, or the beginning of the epoch
        self._held_since: float | None = None
        self._epoch = -1
        self._told: tuple[Any, ...] = ()  # what is worth saying at once whenever it changes
        self._last: dict[str, Any] = {}
        self._said = 0.0

    def edited(self, received: float) -> None:
        """An edit that came then is about to be applied, or refused."""
        self._received = received

    def wrote(self, updates: Sequence[Update], state: DraftState, now: float) -> None:
        """`updates` were committed just now. The first token after an edit saw it: older ones are dropped."""
        tokens = 0
        for update in updates:
            tokens += len(update.tokens) if update.client == MODEL_CLIENT else 0
            if update.client not in (MODEL_CLIENT, SERVER_CLIENT):
                self._edited = self._received
            elif update.client == MODEL_CLIENT and self._edited is not None:
                self._measure(self._edited, state, now)
        if tokens:
            self._written.append((now, tokens))
            self._quiet_since = now

    def _measure(self, edited: float, state: DraftState, now: float) -> None:
        """From the server's receipt of the edit to the commit of what the model made of it."""
        since_edit = max(0.0, now - edited)
        self._reacted(since_edit, max(0.0, now - max(edited, state.held_until)))
        self._reaction_ms, self._edited = round(since_edit * 1000), None

    def next_pulse(self, state: DraftState, now: float) -> float | None:
        """When the state should be said again although no event comes: speeds change while it writes."""
        return max(now, self._said + PULSE_SECONDS) if state.writes else None

    def due(self, state: DraftState, scribe: Scribe, now: float, always: bool) -> dict[str, Any] | None:
        """The body of a `state` event, or None when there is nothing new to say."""
        if not state.writes:
            self._edited = None  # Nobody waits for the model's answer.
        if state.epoch != self._epoch:
            self._epoch, self._quiet_since = state.epoch, max(now, state.held_until)
        if not state.is_held(now):
            self._held_since = None
        elif self._held_since is None:
            self._held_since = now
        told = (*self._phase(state, scribe, now), state.settings)
        must = always or told != self._told
        if not must and now - self._said < PULSE_SECONDS:
            return None
        # Speeds change all the time, and are said again every second at most.
        body = self.state(state, scribe, now)
        is_news = must or body != self._last
        self._told, self._last, self._said = told, body, now
        return body if is_news else None

    def settings(self, state: DraftState) -> dict[str, Any]:
        settings = state.settings
        return {"model": settings.model, "sampling": dict(settings.sampling), "premise": settings.premise}

    def state(self, state: DraftState, scribe: Scribe, now: float) -> dict[str, Any]:
        phase, detail, progress = self._phase(state, scribe, now)
        body: dict[str, Any] = {
            "draft": self._draft,
            "state": phase,
            "model": state.settings.model,
            "settings": self.settings(state),
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

    def _phase(self, state: DraftState, scribe: Scribe, now: float) -> tuple[str, str, float | None]:
        if not state.writes:
            if state.outcome in ("ended", "failed"):
                return state.outcome, state.reason, None
            return "paused", state.outcome, None
        if not scribe.engine_is_up:
            return "loading", "The engine is starting", None
        status = scribe.model_status()
        if status is None or status.state != "ready":
            return "loading", "", round(status.progress, 3) if status else 0.0
        if state.is_held(now):
            # Nobody could read what is over in a moment, and every page would be told twice.
            since = now if self._held_since is None else self._held_since
            lasts = state.is_held(max(now, since + SHORT_HOLD_SECONDS))
            if self._told[:1] in (("writing",), ("waiting",)) and not lasts:
                phase, detail, progress, _ = self._told
                return phase, detail, progress
            return "held", "", None
        if state.granted <= state.made:
            return "waiting", "viewer", None
        if now - self._quiet_since > _patience(state):
            return "waiting", "turn", None
        return "writing", "", None

    def _speed(self, now: float) -> float:
        while self._written and self._written[0][0] < now - SPEED_SECONDS:
            self._written.popleft()
        if not self._written:
            return 0.0
        since = max(now - self._written[0][0], 0.25)
        return round(sum(tokens for _, tokens in self._written) / since, 1)


def _patience(state: DraftState) -> float:
    """How long a draft that writes may be quiet: at a slow pace it is between any two words."""
    pace = state.settings.sampling.get("pace")
    return max(TURN_SECONDS, 2 * 60 / pace) if pace else TURN_SECONDS
