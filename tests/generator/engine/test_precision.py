"""Number formats: how far each may be from exact, and that the choice keeps to its bound."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from generator.engine import linear, precision
from generator.engine.forward import Forward
from generator.engine.packed_network import PackedNetwork, pack_model
from generator.engine.precision import Error, choose, compare, measure, passage_logits
from tests.generator.engine.tiny_models import copy_of, tiny_model

PASSAGE = [5 * number % 300 for number in range(1, 41)]


def a_network(family: str = "llama") -> PackedNetwork:
    network = pack_model(copy_of(tiny_model(family)), 64)
    assert network is not None
    return network


# The largest error relative to the largest exact value, of products of 64 numbers.
@pytest.mark.parametrize(
    ("packer", "tolerance"),
    [
        (linear.pack_fp32, 1e-6),
        (linear.pack_bf16, 2e-2),
        (linear.pack_int8, 4e-2),
        (linear.pack_int8_fine_rows, 2e-2),
        (linear.pack_int8_fine, 2e-4),
    ],
)
@settings(max_examples=20, deadline=None)
@given(count=st.integers(1, 9), seed=st.integers(0, 99), biased=st.booleans())
def test_products_are_as_exact_as_their_format(
    packer: linear.Packer, tolerance: float, count: int, seed: int, biased: bool
) -> None:
    generator = torch.Generator().manual_seed(seed)
    weight, rows = (torch.randn(n, 64, generator=generator) for n in (24, count))
    # Rows of very different sizes must not lose to each other.
    rows *= 10 ** torch.linspace(-3, 3, count)[:, None]
    bias = torch.randn(24, generator=generator) if biased else None
    exact = rows.double() @ weight.double().t() + (0 if bias is None else bias.double())
    error = (packer(weight, bias)(rows).double() - exact).abs().amax(1) / exact.abs().amax(1)
    assert float(error.max()) < tolerance


@pytest.mark.parametrize("packer", [linear.pack_int8, linear.pack_int8_fine_rows, linear.pack_int8_fine])
def test_a_row_does_not_depend_on_its_neighbours(packer: linear.Packer) -> None:
    torch.manual_seed(1)
    multiply, rows = packer(torch.randn(24, 64), None), torch.randn(6, 64)
    others = rows.clone()
    others[3:] = 1000 * torch.randn(3, 64)
    assert torch.equal(multiply(rows)[:3], multiply(others)[:3])


def test_a_row_of_zeros_is_no_division_by_zero() -> None:
    for packer in (linear.pack_int8, linear.pack_int8_fine_rows, linear.pack_int8_fine):
        multiply = packer(torch.zeros(8, 64), None)
        for count in (1, 3):
            assert torch.equal(multiply(torch.zeros(count, 64)), torch.zeros(count, 8))


def test_the_error_is_that_of_the_distributions() -> None:
    exact = np.log(np.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4001]]))
    computed = np.log(np.array([[0.4, 0.35, 0.25], [0.2, 0.4001, 0.4]]))
    error = compare(torch.tensor(computed), torch.tensor(exact))
    p, q = np.exp(exact), np.exp(computed)
    p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
    assert error.divergence == pytest.approx((p * np.log(p / q)).sum(1).mean())
    assert error.agreement == 0.5
    assert not error.is_within_bound


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_finer_formats_are_closer_to_exact(family: str) -> None:
    plain, fine = (measure(a_network(family), PASSAGE, name).error.divergence for name in ("int8", "int8 fine"))
    assert fine < plain < 0.05


def times(monkeypatch: pytest.MonkeyPatch, few: dict[str, float], many: dict[str, float]) -> None:
    """Each format takes what is given, whatever the machine is doing."""
    packed = ["fp32"]
    pack = precision.pack

    def noting(forward: Forward, by_few: str, by_many: str) -> None:
        packed[0] = by_few
        pack(forward, by_few, by_many)

    monkeypatch.setattr(precision, "pack", noting)
    monkeypatch.setattr(precision, "seconds", lambda _, count: (few if count == 1 else many)[packed[0]])


def test_the_fastest_within_the_bound_is_chosen_for_few_and_for_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "MAX_DIVERGENCE", 1.0)
    monkeypatch.setattr(precision, "MIN_AGREEMENT", 0.0)
    slow = {"fp32": 4.0, "bf16": 9.0, "int8": 3.9, "int8 fine": 5.0}
    times(monkeypatch, slow, slow | {"int8": 1.0, "int8 fine": 2.0})
    choice = choose(a_network(), PASSAGE)
    assert (choice.few, choice.many) == ("fp32", "int8")
    assert choice.error.divergence > 0


def test_what_is_fast_but_wrong_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "MAX_DIVERGENCE", 1e-12)
    fast = {"fp32": 4.0, "bf16": 3.0, "int8": 1.0, "int8 fine": 2.0}
    times(monkeypatch, fast, fast)
    choice = choose(a_network(), PASSAGE)
    assert (choice.few, choice.many, str(choice)) == ("fp32", "fp32", "fp32")
    assert choice.error == Error(0.0, 1.0)


def test_a_passage_is_computed_as_its_steps_are() -> None:
    logits = passage_logits(a_network(), PASSAGE)
    shorter = passage_logits(a_network(), PASSAGE[:7])
    assert torch.allclose(logits[:7], shorter, atol=1e-4)
