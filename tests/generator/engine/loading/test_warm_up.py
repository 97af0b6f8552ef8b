"""Warm-up: loads a model once, says its precision, and leaves the measured precision for the next load."""

from __future__ import annotations

from pathlib import Path

import pytest

from generator.engine.loading import choose_network
from generator.engine.loading.precision import PrecisionChoice, PrecisionError
from generator.engine.loading.warm_up import main
from tests.generator.engine.tiny_models import tiny_model, tiny_tokenizer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tiny_model("int8 llama").save_pretrained(tmp_path / "tiny")
    tiny_tokenizer().save_pretrained(tmp_path / "tiny")
    return tmp_path


def test_a_warm_up_measures_and_the_next_load_does_not(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured: list[object] = []

    def choose(exact: object, formats: object, passage: object) -> PrecisionChoice:
        measured.append(passage)
        return PrecisionChoice("int8-a16", PrecisionError(0.004, 0.98))

    monkeypatch.setattr(choose_network, "choose_precision", choose)
    for _ in range(2):
        assert main(str(root), "tiny") == 0
        assert capsys.readouterr().out == "It computes in int8-a16 (KL 0.0040, same best token 98.0%).\n"
    assert len(measured) == 1
    assert (root / ".models" / "precision.json").exists()


def test_a_failed_warm_up_says_why(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(str(root), "elsewhere") == 1
    output = capsys.readouterr()
    assert "elsewhere" in output.err
    assert output.out == ""
