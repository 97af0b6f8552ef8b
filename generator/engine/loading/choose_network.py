"""Choice of the network: the forward pass that a model runs on, and its precision.

Owns the order of preference: a format with an error within the bound, a network of our own in fp32, the transformers
network. Knows nothing of files or vocabularies.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from functools import partial

import torch
from transformers import PreTrainedModel

from generator.engine.int8.open_network import open_int8
from generator.engine.loading.precision import (
    Formats,
    MeasuredNetwork,
    PrecisionChoice,
    choose_format,
    choose_precision,
)
from generator.engine.loading.precision_cache import PrecisionCache
from generator.engine.networks.cuda_graph_network import CudaGraphNetwork
from generator.engine.networks.model_runner import logits_agree, open_transformers_network
from generator.engine.networks.model_weights import ModelWeights, read_weights
from generator.engine.networks.network import Network
from generator.engine.networks.torch_network import TorchNetwork
from generator.engine.process.log import log


def choose_network(
    model: PreTrainedModel, window: int, passage: AnySequence[int], precision: str, cache: PrecisionCache
) -> tuple[Network, str]:
    """Return the network for `model`, and the description of its precision.

    It is a network of our own if there is one for the model's architecture and device and it computes the same as the
    transformers network. Otherwise it is the transformers network.
    """
    own = _find_own_networks(model, window)
    if own is None or (precision == "bf16" and own.rounded_kind != "bf16"):
        if precision == "bf16":
            torch.nn.Module.to(model, torch.bfloat16)
        return open_transformers_network(model, window), precision if precision == "bf16" else "fp32"
    general = open_transformers_network(model, window)
    if not _is_usable(own.exact, general, model.get_output_embeddings().weight.shape[0], window):
        return general, "fp32"
    choice = PrecisionChoice("fp32") if precision == "fp32" else (cache.get() if precision == "auto" else None)
    if choice is not None and choice.name == "fp32":
        return own.exact, "fp32"
    formats = own.open_formats()
    if not formats:
        return own.exact, "fp32"
    # The cache may come from a machine that supports more formats.
    if choice is None or choice.name not in formats:
        if precision == "auto":
            choice = choose_precision(own.exact, formats, passage)
            cache.put(choice)
        else:
            choice = choose_format(own.exact, formats, passage)
    return (own.exact if choice.name == "fp32" else formats[choice.name]()), str(choice)


def _is_usable(network: Network, reference: Network, vocabulary_size: int, window: int) -> bool:
    try:
        return logits_agree(network, reference, vocabulary_size, window)
    except RuntimeError as error:
        # A GPU may fail to capture steps, or lack the memory for them, and still run the transformers network.
        log(f"The transformers network is used, because the model's own network failed: {error}")
        return False


@dataclass(frozen=True, slots=True)
class _OwnNetworks:
    """The networks of our own for a model on its device: one in fp32, and the formats of the kind `rounded_kind`.

    `open_formats` returns an empty mapping if this machine supports none of them.
    """

    exact: MeasuredNetwork
    rounded_kind: str
    open_formats: Callable[[], Formats]


def _find_own_networks(model: PreTrainedModel, window: int) -> _OwnNetworks | None:
    weights = read_weights(model, window)
    if weights is None or model.device.type not in ("cpu", "cuda"):
        return None
    if model.device.type == "cpu":
        return _OwnNetworks(TorchNetwork(weights), "int8", lambda: _int8_formats(weights))
    return _OwnNetworks(CudaGraphNetwork(weights), "bf16", lambda: _bf16_formats(weights))


def _int8_formats(weights: ModelWeights) -> Formats:
    network = open_int8(weights)
    if network is None:
        return {}

    def use(name: str) -> MeasuredNetwork:
        network.use(name)
        return network

    return {name: partial(use, name) for name in network.formats}


def _bf16_formats(weights: ModelWeights) -> Formats:
    network = CudaGraphNetwork(weights.rounded_to(torch.bfloat16))
    return {"bf16": lambda: network}
