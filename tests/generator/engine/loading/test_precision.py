"""Number formats: how far they may be from exact, and that the choice keeps to its bound."""

from __future__ import annotations

from collections.abc import Sequence as AnySequence

import numpy as np
import pytest
import torch

from generator.engine.int8.network import Int8Network
from generator.engine.int8.open_network import open_int8
from generator.engine.loading import precision
from generator.engine.loading.precision import PrecisionChoice, PrecisionError, choose, choose_rounded, compare
from generator.engine.networks.torch_network import TorchNetwork
from tests.generator.engine.tiny_models import tiny_family

FORMATS = ("int8-a8", "int8-a8+16", "int8-a16")
PASSAGE = [5 * number % 300 for number in range(1, 41)]


def networks() -> tuple[TorchNetwork, Int8Network]:
    family = tiny_family("int8 llama", 64)
    return TorchNetwork(family), Int8Network(family, threads=2)


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
    ("errors", "gains", "chosen"),
    [
        ([(0.02, 0.97)], (3.0, 2.0), 0),
        ([(0.021, 0.99), (0.01, 0.969), (0.02, 0.97)], (3.0, 2.0), 2),
        ([(0.021, 0.99), (0.02, 0.97)], (3.0, 2.0), 1),
        ([(0.021, 0.97), (0.021, 0.97), (0.021, 0.97)], (3.0, 2.0), None),
        ([(0.02, 0.969), (0.02, 0.969), (0.02, 0.969)], (3.0, 2.0), None),
        ([(0.0, 1.0)], (1.1, 1.1), None),
        ([(0.0, 1.0)], (0.9, 2.0), 0),
    ],
)
def test_the_fastest_within_the_bound_is_chosen_if_it_is_faster_than_exact(
    monkeypatch: pytest.MonkeyPatch,
    errors: list[tuple[float, float]],
    gains: tuple[float, float],
    chosen: int | None,
) -> None:
    exact, rounded = networks()
    measured = iter([PrecisionError(*error) for error in errors])
    used: list[str] = []

    def seconds(network: object, count: int) -> float:
        return (gains[0] if count == 1 else gains[1]) if network is exact else 1.0

    monkeypatch.setattr(Int8Network, "formats", FORMATS)
    monkeypatch.setattr(rounded, "use", used.append)
    monkeypatch.setattr(precision, "compare", lambda *_: next(measured))
    monkeypatch.setattr(precision, "seconds", seconds)
    expected = (
        PrecisionChoice("fp32") if chosen is None else PrecisionChoice(FORMATS[chosen], PrecisionError(*errors[chosen]))
    )
    assert choose(exact, rounded, PASSAGE) == expected
    assert used == list(FORMATS[: len(errors)])


def test_a_choice_says_what_it_costs() -> None:
    assert (
        str(PrecisionChoice("int8-a8", PrecisionError(0.00123, 0.985))) == "int8-a8 (KL 0.0012, same best token 98.5%)"
    )
    assert str(PrecisionChoice("fp32")) == "fp32"


def test_the_error_of_int8_is_measured_and_small() -> None:
    exact, rounded = networks()
    found = []
    for name in FORMATS:
        rounded.use(name)
        with torch.inference_mode():
            found.append(compare(rounded.passage_logits(PASSAGE), exact.passage_logits(PASSAGE)).divergence)
    assert 0 < found[2] < found[0] < 0.02


def test_a_format_that_is_forced_is_one_within_the_bound_if_there_is_any(monkeypatch: pytest.MonkeyPatch) -> None:
    exact, rounded = networks()
    monkeypatch.setattr(Int8Network, "formats", FORMATS)
    monkeypatch.setattr(precision, "MAX_DIVERGENCE", 9.0)
    for agreement, expected in ((0.0, FORMATS[0]), (1.1, FORMATS[-1])):
        monkeypatch.setattr(precision, "MIN_AGREEMENT", agreement)
        assert choose_rounded(exact, rounded, PASSAGE).name == expected


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
