"""Metrics: the Prometheus metrics of the web process.

Owns their names, labels and buckets. No label contains a story, a draft or an owner.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

_LAG_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ANSWER_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_REACTION_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)


_GAUGES = {
    "engine_up": "Whether the engine is running",
    "drafts_open": "Drafts in memory",
    "requests_running": "Drafts in which a model is writing or about to write",
}
_COUNTERS = {
    "engine_restarts": "Engine restarts",
    "engine_tokens": "Tokens that the engine made, including tokens that an edit made obsolete",
    "db_commits": "Committed transactions",
    "db_commit_seconds": "Total duration of the transactions",
    "db_batch_ops": "Drafts in the transactions, counted once per transaction",
}


class _DraftStatusCollector(Collector):
    """The metrics that are read from the open drafts at each scrape."""

    def __init__(self, status: Callable[[], Mapping[str, float]]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        status = self._status()
        for name, help_text in _GAUGES.items():
            yield GaugeMetricFamily(f"story_{name}", help_text, float(status[name]))
        for name, help_text in _COUNTERS.items():
            yield CounterMetricFamily(f"story_{name}", help_text, float(status[name]))


class Metrics:
    """The metrics of one server, in a registry of their own, so that a test process can have several servers."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.hub_lag = Histogram(
            "story_hub_lag_seconds", "How late a sleeping task wakes up", registry=registry, buckets=_LAG_BUCKETS
        )
        self.connections = Gauge("story_ws_connections", "Connected pages", registry=registry)
        self.connects = Counter("story_ws_connects_total", "Connection attempts", ["result"], registry=registry)
        self.answers = Histogram(
            *("story_event_answer_seconds", "Time from the arrival of an event to its answer", ["event"]),
            registry=registry,
            buckets=_ANSWER_BUCKETS,
        )
        self.events = Counter("story_events_total", "Answered events", ["event", "result"], registry=registry)
        self.rejected = Counter(
            "story_rejected_total", "Requests and packets that were rejected", ["reason"], registry=registry
        )
        self.slow = Counter(
            "story_slow_clients_total", "Clients that were disconnected because they read too slowly", registry=registry
        )
        self.updates = Counter("story_updates_total", "Broadcast updates", ["author"], registry=registry)
        self.reactions = Histogram(
            *("story_reaction_seconds", "Time to the first committed token that takes an edit into account", ["since"]),
            registry=registry,
            buckets=_REACTION_BUCKETS,
        )
        # Finding a metric by its labels takes longer than counting, so the found metrics are kept.
        self._answers_of, self._events_of = cache(self.answers.labels), cache(self.events.labels)
        self._updates_of = cache(self.updates.labels)
        self.tokens = Counter("story_generation_tokens_total", "Broadcast model tokens", registry=registry)

    def reject(self, reason: str) -> None:
        """Count a rejected request or packet."""
        self.rejected.labels(reason).inc()

    def answered(self, event: str, result: str, seconds: float) -> None:
        """Count an answer to an event. `result` is `ok` or the code of the refusal."""
        self._answers_of(event).observe(seconds)
        self._events_of(event, result).inc()

    def broadcast(self, author: str, num_tokens: int) -> None:
        """Count a broadcast update. `author` is `user` or `model`."""
        self._updates_of(author).inc()
        self.tokens.inc(num_tokens)

    def reacted(self, since_edit: float, since_hold: float) -> None:
        """Record the reaction time of a model to an edit.

        `since_edit` starts when the server receives the edit, `since_hold` when writing is no longer held.
        """
        self.reactions.labels("edit").observe(since_edit)
        self.reactions.labels("hold").observe(since_hold)

    def watch(self, status: Callable[[], Mapping[str, float]]) -> None:
        """Add the metrics of the open drafts. `status` returns their values at each scrape."""
        self.registry.register(_DraftStatusCollector(status))

    def render(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self.registry)
