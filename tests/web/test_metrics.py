"""Metrics: the samples that Prometheus reads after some events were counted."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from web.metrics import Metrics

STATUS_NAMES = {
    *("engine_up", "drafts_open", "requests_running", "engine_restarts"),
    *("engine_tokens", "db_commits", "db_commit_seconds", "db_batch_ops"),
}


def samples(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return the rendered values by name and label values."""
    families = text_string_to_metric_families(metrics.render().decode())
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


@given(st.lists(st.tuples(st.sampled_from(["user", "model"]), st.integers(0, 50)), max_size=20))
def test_broadcasts_are_counted_by_author_and_tokens(updates: list[tuple[str, int]]) -> None:
    metrics = Metrics()
    for author, num_tokens in updates:
        metrics.broadcast(author, num_tokens)
    shown = samples(metrics)
    for author, count in Counter(author for author, _ in updates).items():
        assert shown["story_updates_total", author] == count
    assert shown["story_generation_tokens_total",] == sum(num_tokens for _, num_tokens in updates)


@given(st.lists(st.tuples(st.sampled_from(["edit", "open"]), st.sampled_from(["ok", "busy"]), st.floats(0, 20))))
def test_answers_are_counted_by_event_and_result(answers: list[tuple[str, str, float]]) -> None:
    metrics = Metrics()
    for answer in answers:
        metrics.answered(*answer)
    shown = samples(metrics)
    for (event, result), count in Counter((event, result) for event, result, _ in answers).items():
        assert shown["story_events_total", event, result] == count
    for event in {event for event, _, _ in answers}:
        seconds = [took for name, _, took in answers if name == event]
        assert shown["story_event_answer_seconds_sum", event] == pytest.approx(sum(seconds))
        assert shown["story_event_answer_seconds_bucket", event, "0.1"] == sum(took <= 0.1 for took in seconds)
        assert shown["story_event_answer_seconds_bucket", event, "+Inf"] == len(seconds)


def test_reactions_are_measured_from_the_edit_and_from_the_hold() -> None:
    metrics = Metrics()
    metrics.reacted(0.7, 0.2)
    shown = samples(metrics)
    assert shown["story_reaction_seconds_sum", "edit"] == 0.7
    assert shown["story_reaction_seconds_sum", "hold"] == 0.2


def test_rejections_are_counted_by_reason() -> None:
    metrics = Metrics()
    for reason in ("host", "origin", "host"):
        metrics.reject(reason)
    shown = samples(metrics)
    assert (shown["story_rejected_total", "host"], shown["story_rejected_total", "origin"]) == (2, 1)


def test_the_status_is_read_at_every_rendering() -> None:
    metrics, status = Metrics(), dict.fromkeys(STATUS_NAMES, 0.0)
    metrics.watch(lambda: status)
    assert all(
        samples(metrics).get((f"story_{name}",), samples(metrics).get((f"story_{name}_total",))) == 0 for name in status
    )
    status["drafts_open"], status["db_commits"] = 3.0, 7.0
    shown = samples(metrics)
    assert (shown["story_drafts_open",], shown["story_db_commits_total",]) == (3, 7)


def test_two_servers_in_one_process_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.slow.inc()
    assert samples(first)["story_slow_clients_total",] == 1
    assert samples(second)["story_slow_clients_total",] == 0
