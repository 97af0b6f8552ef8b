"""What the web process counts, for Prometheus. Owns the names; no story, draft or owner appears in a label."""

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
    "engine_up": "Whether the engine serves",
    "drafts_open": "Drafts in memory",
    "requests_running": "Drafts a model is to write",
}
_COUNTERS = {
    "engine_restarts": "Engines started after the first",
    "engine_tokens": "Tokens the engine made, those that came too late for an edit included",
    "db_commits": "Transactions that were stored",
    "db_commit_seconds": "Seconds they took in all",
    "db_batch_ops": "Drafts they stored something of",
}


class _DraftFigures(Collector):
    def __init__(self, status: Callable[[], Mapping[str, float]]) -> None:
        self._status = status

    def collect(self) -> Iterator[Metric]:
        figures = self._status()
        for name, words in _GAUGES.items():
            yield GaugeMetricFamily(f"story_{name}", words, float(figures[name]))
        for name, words in _COUNTERS.items():
            yield CounterMetricFamily(f"story_{name}", words, float(figures[name]))


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
        # Finding a figure by its labels takes longer than to count.
        self._answers_of, self._events_of = cache(self.answers.labels), cache(self.events.labels)
        self._updates_of = cache(self.updates.labels)
        self.tokens = Counter("story_generation_tokens_total", "Model tokens broadcast", registry=registry)

    def reject(self, reason: str) -> None:
        self.rejected.labels(reason).inc()

    def answered(self, event: str, result: str, seconds: float) -> None:
        """An event that the contract knows was answered with `ok` or the code of a refusal."""
        self._answers_of(event).observe(seconds)
        self._events_of(event, result).inc()

    def broadcast(self, author: str, num_tokens: int) -> None:
        """An update of a `user` or a `model` reached its draft's pages."""
        self._updates_of(author).inc()
        self.tokens.inc(num_tokens)

    def reacted(self, since_edit: float, since_hold: float) -> None:
        """A model answered an edit: seconds since the server received it, and since writing was not held any more."""
        self.reactions.labels("edit").observe(since_edit)
        self.reactions.labels("hold").observe(since_hold)

    def watch(self, status: Callable[[], Mapping[str, float]]) -> None:
        """Show what the desk says of itself whenever somebody asks."""
        self.registry.register(_DraftFigures(status))

    def render(self) -> bytes:
        return generate_latest(self.registry)
