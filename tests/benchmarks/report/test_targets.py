"""Targets: which figures hold, and which figures tell nothing."""

from __future__ import annotations

import pytest

from benchmarks.report.targets import Target, ratio, targets


@pytest.mark.parametrize(("figure", "is_maximum", "holds"), [(2, True, True), (4, True, False), (4, False, True)])
def test_a_bound_is_a_maximum_or_a_minimum(figure: float, is_maximum: bool, holds: bool) -> None:
    assert Target("name", [figure], required=(3,), is_maximum=is_maximum).holds == holds


def test_every_figure_must_keep_its_bound() -> None:
    assert not Target("name", [5, 1], required=(3, 3)).holds


def test_ratios_are_taken_round_by_round() -> None:
    assert ratio({"ours": [10, 40, 90], "other": [10, 20, 30]}, "ours", "other") == 2


@pytest.mark.parametrize(
    ("worst", "undisturbed", "is_judged"),
    [(2.0, 1.5, True), (9.0, 1.5, False), (9.0, 8.0, True)],
)
def test_a_bound_missed_only_because_of_steal_time_is_not_judged(
    worst: float, undisturbed: float, is_judged: bool
) -> None:
    found = {"tokens": 100, "p999_to_median": worst, "undisturbed": 0.9, "undisturbed_p999_to_median": undisturbed}
    row, *_ = targets({"gaps": {"figures": {"SmolLM2-135M, 1 drafts": found}}})
    assert (row.unjudged == "") == is_judged
