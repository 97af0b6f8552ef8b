"""Choice of the network: own networks for plain models, the transformers network for all others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel

from generator.engine.int8.network import Int8Network
from generator.engine.loading import choose_network as module
from generator.engine.loading.choose_network import choose_network
from generator.engine.loading.precision import Formats, PrecisionChoice, PrecisionError
from generator.engine.loading.precision_cache import PrecisionCache
from generator.engine.networks.model_weights import ModelWeights, read_weights
from generator.engine.networks.torch_network import TorchNetwork
from generator.engine.networks.transformers_network import TransformersNetwork
from tests.generator.engine.tiny_models import copy_of, tiny_model

NO_CACHE = PrecisionCache(Path("nowhere"), Path(__file__).parent, torch.device("cpu"))
PASSAGE = [1, 2, 3]
SMALL_ERROR = PrecisionError(0.004, 0.98)


@pytest.fixture
def cache(tmp_path: Path) -> PrecisionCache:
    return PrecisionCache(tmp_path / "precision.json", tmp_path, torch.device("cpu"))


@pytest.mark.parametrize("architecture", ["gpt2", "llama"])
def test_plain_models_get_the_torch_network(architecture: str) -> None:
    network, precision = choose_network(copy_of(tiny_model(architecture)), 32, PASSAGE, "fp32", NO_CACHE)
    assert isinstance(network, TorchNetwork)
    assert precision == "fp32"


@pytest.mark.parametrize("precision", ["auto", "fp32", "int8", "bf16"])
def test_unusual_models_get_the_transformers_network(precision: str) -> None:
    torch.manual_seed(3)
    changes = {"activation_function": "relu"}
    model: PreTrainedModel = GPT2LMHeadModel(GPT2Config(**(tiny_model("gpt2").config.to_dict() | changes))).eval()
    network, description = choose_network(model, 32, PASSAGE, precision, NO_CACHE)
    assert isinstance(network, TransformersNetwork)
    assert description == ("bf16" if precision == "bf16" else "fp32")
    assert network.dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)


def test_bf16_on_the_cpu_is_computed_by_the_transformers_network() -> None:
    network, precision = choose_network(copy_of(tiny_model("llama")), 32, PASSAGE, "bf16", NO_CACHE)
    assert isinstance(network, TransformersNetwork)
    assert (network.dtype, precision) == (torch.bfloat16, "bf16")


def test_a_network_with_wrong_logits_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def read_wrongly(model: PreTrainedModel, window: int) -> ModelWeights | None:
        weights = read_weights(copy_of(model), window)
        assert weights is not None
        weights.layers[0].qkv.weight[0] += 1
        return weights

    monkeypatch.setattr(module, "read_weights", read_wrongly)
    network, _ = choose_network(copy_of(tiny_model("llama")), 32, PASSAGE, "fp32", NO_CACHE)
    assert isinstance(network, TransformersNetwork)


def test_a_network_that_fails_here_is_not_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(TorchNetwork, "new_slots", fail)
    network, precision = choose_network(copy_of(tiny_model("llama")), 32, PASSAGE, "auto", NO_CACHE)
    assert isinstance(network, TransformersNetwork)
    assert precision == "fp32"
    assert "capturing" in caplog.text


def test_a_model_too_narrow_for_8_bits_stays_in_fp32(cache: PrecisionCache) -> None:
    for precision in ("auto", "int8"):
        network, description = choose_network(copy_of(tiny_model("llama")), 32, PASSAGE, precision, cache)
        assert isinstance(network, TorchNetwork)
        assert description == "fp32"
    assert cache.get() is None


def test_a_chosen_format_is_used_and_cached(monkeypatch: pytest.MonkeyPatch, cache: PrecisionCache) -> None:
    chosen, used, measured = PrecisionChoice("int8-a16", SMALL_ERROR), list[str](), list[object]()
    use = Int8Network.use

    def recorded_use(self: Int8Network, name: str) -> None:
        used.append(name)
        use(self, name)

    def choose(exact: object, formats: Formats, passage: object) -> PrecisionChoice:
        measured.append(passage)
        return chosen

    monkeypatch.setattr(Int8Network, "use", recorded_use)
    monkeypatch.setattr(module, "choose_precision", choose)
    for _ in range(2):
        network, description = choose_network(copy_of(tiny_model("int8 llama")), 32, PASSAGE, "auto", cache)
        assert isinstance(network, Int8Network)
        assert description == str(chosen)
        assert used.pop() == "int8-a16"
    assert measured == [PASSAGE]
    assert cache.get() == chosen


def test_a_cached_fp32_or_an_explicit_fp32_measures_nothing(
    monkeypatch: pytest.MonkeyPatch, cache: PrecisionCache
) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("the 8-bit network was opened")

    monkeypatch.setattr(module, "open_int8", fail)
    assert choose_network(copy_of(tiny_model("int8 llama")), 32, PASSAGE, "fp32", cache)[1] == "fp32"
    cache.put(PrecisionChoice("fp32"))
    network, description = choose_network(copy_of(tiny_model("int8 llama")), 32, PASSAGE, "auto", cache)
    assert isinstance(network, TorchNetwork)
    assert description == "fp32"


def test_a_cached_format_that_this_machine_lacks_is_measured_again(
    monkeypatch: pytest.MonkeyPatch, cache: PrecisionCache
) -> None:
    cache.put(PrecisionChoice("int4", SMALL_ERROR))
    monkeypatch.setattr(module, "choose_precision", lambda *_: PrecisionChoice("int8-a16", SMALL_ERROR))
    network, _ = choose_network(copy_of(tiny_model("int8 llama")), 32, PASSAGE, "auto", cache)
    assert isinstance(network, Int8Network)
    assert cache.get() == PrecisionChoice("int8-a16", SMALL_ERROR)


def test_a_forced_int8_is_neither_read_from_the_cache_nor_stored(cache: PrecisionCache) -> None:
    network, description = choose_network(copy_of(tiny_model("int8 llama")), 32, PASSAGE, "int8", cache)
    assert isinstance(network, Int8Network)
    assert description.startswith("int8")
    assert cache.get() is None
