"""What the web process counts, for Prometheus. Owns the names; no story, draft or owner appears in a label."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ANSWER_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REACTION_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)
_PROBE_SECONDS = 0.1


class Metrics:
    """One registry per server, so that tests can have several in a process."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.hub_lag = Histogram(
            "story_hub_lag_seconds", "How late a sleeping task wakes up", registry=registry, buckets=_LAG_BUCKETS
        )
        self.connections = Gauge("story_ws_connections", "Pages connected now", registry=registry)
        self.connects = Counter("story_ws_connects_total", "Connections asked for", ["result"], registry=registry)
        self.answers = Histogram(
            *("story_event_answer_seconds", "From an event's arrival to its answer", ["event"]),
            registry=registry,
            buckets=_ANSWER_BUCKETS,
        )
        self.events = Counter("story_events_total", "Events answered", ["event", "result"], registry=registry)
        self.rejected = Counter("story_rejected_total", "Turned away at the edge", ["reason"], registry=registry)
        self.slow = Counter("story_slow_clients_total", "Cut off, reading too slowly", registry=registry)
        self.updates = Counter("story_updates_total", "Updates broadcast", ["author"], registry=registry)
        self.reactions = Histogram(
            *("story_reaction_seconds", "To the first committed token that saw an edit", ["since"]),
            registry=registry,
            buckets=_REACTION_BUCKETS,
        )
        self.tokens = Counter("story_generation_tokens_total", "Model tokens broadcast", registry=registry)

    def reject(self, reason: str) -> None:
        self.rejected.labels(reason).inc()

    def reacted(self, since_edit: float, since_hold: float) -> None:
        """A model answered an edit: seconds since the server received it, and since writing was not held any more."""
        self.reactions.labels("edit").observe(since_edit)
        self.reactions.labels("hold").observe(since_hold)

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def probe_lag(self, sleep: Callable[[float], None]) -> None:
        """Measure for ever how late `sleep` returns; everybody waits as long as this does."""
        while True:
            begin = time.monotonic()
            sleep(_PROBE_SECONDS)
            self.hub_lag.observe(max(0.0, time.monotonic() - begin - _PROBE_SECONDS))
