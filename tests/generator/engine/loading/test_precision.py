"""Precision: the error of a format, and the choice of the fastest format whose error is within the bound."""

from __future__ import annotations

import time
from collections.abc import Sequence as AnySequence
from functools import partial

import numpy as np
import pytest
import torch

from generator.engine.int8.network import Int8Network
from generator.engine.int8.open_network import open_int8
from generator.engine.loading import precision
from generator.engine.loading.precision import (
    Formats,
    MeasuredNetwork,
    PrecisionChoice,
    PrecisionError,
    choose_format,
    choose_precision,
    measure_error,
    step_seconds,
)
from generator.engine.networks.runner import BatchItem
from generator.engine.networks.torch_network import TorchNetwork
from tests.generator.engine.tiny_models import tiny_weights

FORMATS = ("int8-a8", "int8-a8+16", "int8-a16")
PASSAGE = [5 * number % 300 for number in range(1, 41)]


def networks() -> tuple[TorchNetwork, Int8Network]:
    weights = tiny_weights("int8 llama", 64)
    return TorchNetwork(weights), Int8Network(weights, threads=2)


def formats_of(network: MeasuredNetwork, used: list[str]) -> Formats:
    """Return all formats. The network stays the same and the names are recorded."""

    def use(name: str) -> MeasuredNetwork:
        used.append(name)
        return network

    return {name: partial(use, name) for name in FORMATS}


def test_the_error_compares_the_distributions_of_the_logits() -> None:
    exact = np.log(np.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4001]]))
    computed = np.log(np.array([[0.4, 0.35, 0.25], [0.2, 0.4001, 0.4]]))
    error = measure_error(torch.tensor(computed), torch.tensor(exact))
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
def test_the_fastest_format_within_the_bound_is_chosen_if_it_is_clearly_faster_than_fp32(
    monkeypatch: pytest.MonkeyPatch,
    errors: list[tuple[float, float]],
    gains: tuple[float, float],
    chosen: int | None,
) -> None:
    exact, rounded = networks()
    measured = iter([PrecisionError(*error) for error in errors])
    used: list[str] = []

    def seconds(network: object, batch_size: int) -> float:
        return (gains[0] if batch_size == 1 else gains[1]) if network is exact else 1.0

    monkeypatch.setattr(precision, "measure_error", lambda *_: next(measured))
    monkeypatch.setattr(precision, "step_seconds", seconds)
    expected = (
        PrecisionChoice("fp32") if chosen is None else PrecisionChoice(FORMATS[chosen], PrecisionError(*errors[chosen]))
    )
    assert choose_precision(exact, formats_of(rounded, used), PASSAGE) == expected
    # The chosen format is opened again to measure its speed.
    assert used[: len(errors)] == list(FORMATS[: len(errors)])
    assert used[len(errors) :] == ([] if errors[-1][0] > 0.02 or errors[-1][1] < 0.97 else [FORMATS[len(errors) - 1]])


def test_the_description_of_a_choice_contains_its_error() -> None:
    assert (
        str(PrecisionChoice("int8-a8", PrecisionError(0.00123, 0.985))) == "int8-a8 (KL 0.0012, same best token 98.5%)"
    )
    assert str(PrecisionChoice("fp32")) == "fp32"


def test_the_error_of_int8_is_small_and_16_bits_have_the_smallest() -> None:
    exact, rounded = networks()
    found = []
    for name in FORMATS:
        rounded.use(name)
        with torch.inference_mode():
            found.append(measure_error(rounded.passage_logits(PASSAGE), exact.passage_logits(PASSAGE)).divergence)
    assert 0 < found[2] < found[0] < 0.02


def test_a_forced_format_is_the_first_within_the_bound_or_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    exact, rounded = networks()
    formats = formats_of(rounded, [])
    monkeypatch.setattr(precision, "MAX_DIVERGENCE", 9.0)
    for agreement, expected in ((0.0, FORMATS[0]), (1.1, FORMATS[-1])):
        monkeypatch.setattr(precision, "MIN_AGREEMENT", agreement)
        assert choose_format(exact, formats, PASSAGE).name == expected


def test_the_logits_of_a_passage_do_not_depend_on_the_tokens_after_them() -> None:
    for network in networks():
        with torch.inference_mode():
            whole, shorter = (network.passage_logits(ids) for ids in (PASSAGE, PASSAGE[:7]))
        assert torch.allclose(whole[:7], shorter, atol=1e-4)


def test_a_model_that_does_not_fit_the_8_bit_layout_has_no_8_bit_network() -> None:
    assert open_int8(tiny_weights("llama", 64)) is None


def test_a_failing_compiler_is_logged_and_leaves_no_8_bit_network(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: AnySequence[object]) -> None:
        raise RuntimeError("no such instruction")

    monkeypatch.setattr("generator.engine.int8.network.pack_model", fail)
    assert open_int8(tiny_weights("int8 llama", 64)) is None
    assert "no such instruction" in caplog.text


class SlowAtFirst:
    """A network whose steps take 50 ms, then 10 ms, then 30 ms."""

    def __init__(self) -> None:
        self.seconds = iter([0.05, 0.01, 0.03, 0.03])
        self.batches: list[list[BatchItem]] = []

    def new_slots(self, num_slots: int, window: int) -> int:
        return num_slots

    def logits(self, items: list[BatchItem], slots: int, should_stop: object) -> torch.Tensor:
        assert slots == len(items)
        self.batches.append(items)
        time.sleep(next(self.seconds))
        return torch.zeros(len(items), 3)


def test_the_time_of_a_step_is_the_shortest_of_several() -> None:
    network = SlowAtFirst()
    assert 0.01 <= step_seconds(network, 5) < 0.03  # type: ignore[arg-type]
    assert [len(items) for items in network.batches] == [5] * 4
    assert {(len(item.token_ids), item.wants_logits) for items in network.batches for item in items} == {(1, True)}
