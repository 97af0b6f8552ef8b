"""Number formats: how far they may be from exact, and that the choice keeps to its bound."""

from __future__ import annotations

from collections.abc import Sequence as AnySequence

import numpy as np
import pytest
import torch

from generator.engine import precision
from generator.engine.int8.network import Int8Network
from generator.engine.int8.opening import open_int8
from generator.engine.packed_network import PackedNetwork
from generator.engine.precision import Choice, Error, choose, compare, measure
from tests.generator.engine.tiny_models import tiny_family

PASSAGE = [5 * number % 300 for number in range(1, 41)]


def networks() -> tuple[PackedNetwork, Int8Network]:
    family = tiny_family("int8 llama", 64)
    return PackedNetwork(family), Int8Network(family, threads=2)


def test_the_error_is_that_of_the_distributions() -> None:
    exact = np.log(np.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4001]]))
    computed = np.log(np.array([[0.4, 0.35, 0.25], [0.2, 0.4001, 0.4]]))
    error = compare(torch.tensor(computed), torch.tensor(exact))
    p, q = np.exp(exact), np.exp(computed)
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    assert error.divergence == pytest.approx((p * np.log(p / q)).sum(1).mean())
    assert error.agreement == 0.5
    assert not error.is_within_bound


@pytest.mark.parametrize(
    ("divergence", "agreement", "gains", "chosen"),
    [
        (0.02, 0.97, (3.0, 2.0), "int8"),
        (0.021, 0.97, (3.0, 2.0), "fp32"),
        (0.02, 0.969, (3.0, 2.0), "fp32"),
        (0.0, 1.0, (1.1, 1.1), "fp32"),
        (0.0, 1.0, (0.9, 2.0), "int8"),
    ],
)
def test_int8_is_chosen_if_it_is_faster_and_within_the_bound(
    monkeypatch: pytest.MonkeyPatch, divergence: float, agreement: float, gains: tuple[float, float], chosen: str
) -> None:
    exact, rounded = networks()
    error = Error(divergence, agreement)

    def seconds(network: object, count: int) -> float:
        return (gains[0] if count == 1 else gains[1]) if network is exact else 1.0

    monkeypatch.setattr(precision, "compare", lambda *_: error)
    monkeypatch.setattr(precision, "seconds", seconds)
    assert choose(exact, rounded, "int8", PASSAGE) == (Choice("int8", error) if chosen == "int8" else Choice("fp32"))


def test_a_choice_says_what_it_costs() -> None:
    assert str(Choice("int8", Error(0.00123, 0.985))) == "int8 (KL 0.0012, same best token 98.5%)"
    assert str(Choice("fp32")) == "fp32"


def test_the_error_of_int8_is_measured_and_small() -> None:
    error = measure(*networks(), "int8", PASSAGE).error
    assert 0 < error.divergence < 0.02


def test_a_passage_is_computed_as_its_steps_are() -> None:
    for network in networks():
        with torch.inference_mode():
            whole, shorter = (network.passage_logits(ids) for ids in (PASSAGE, PASSAGE[:7]))
        assert torch.allclose(whole[:7], shorter, atol=1e-4)


def test_what_does_not_fit_eight_bits_is_computed_otherwise() -> None:
    assert open_int8(tiny_family("llama", 64)) is None


def test_a_compiler_that_fails_is_said_and_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: AnySequence[object]) -> None:
        raise RuntimeError("no such instruction")

    monkeypatch.setattr("generator.engine.int8.network.lay_out", fail)
    assert open_int8(tiny_family("int8 llama", 64)) is None
    assert "no such instruction" in caplog.text
