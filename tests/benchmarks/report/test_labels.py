"""Labels: the record's names in readable English."""

from __future__ import annotations

import pytest

from benchmarks.report.labels import label


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("GPT-2 124M, 1 drafts", "GPT-2 124M, 1 draft"),
        ("GPT-2 124M, 11 drafts", "GPT-2 124M, 11 drafts"),
        ("int8, 1 streams, 64 tokens before", "int8, 1 stream, after 64 tokens"),
        ("int8, prefill of 768 tokens", "int8, prefill of 768 tokens"),
    ],
)
def test_a_label_is_readable(name: str, shown: str) -> None:
    assert label(name) == shown
