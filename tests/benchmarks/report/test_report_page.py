"""The generated page: docs/performance.md is what the record says."""

from __future__ import annotations

from benchmarks.report.report_page import MARK, PAGE, renewed
from benchmarks.rig.record import read


def test_the_page_is_generated_from_the_record() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(MARK) == 1
    assert renewed(page, read()) == page


def test_text_above_the_mark_stays_and_text_below_it_is_replaced() -> None:
    assert renewed(f"by people\n\n{MARK}\nold figures\n", {}) == f"by people\n\n{MARK}\n\n"
