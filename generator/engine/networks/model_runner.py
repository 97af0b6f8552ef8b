"""Model runner: the slots, and one packed forward over any number of sequences by a network.

Owns how many slots there are, what they hold, and the proof that the network computes what the model does.
Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence

import torch
from transformers import PreTrainedModel

from generator.engine.networks.memory_size import footprint
from generator.engine.networks.network import Network
from generator.engine.networks.runner import MAX_SLOTS, USUAL_SLOTS, BatchItem, LoadFailed
from generator.engine.networks.transformers_network import TransformersNetwork
from generator.engine.sampling.sampler import Floats
from generator.engine.tokens.vocabulary import Vocabulary

_MIN_SLOTS = 2
_MAX_CACHE_BYTES = 3 * 2**29
# Largest difference between packed and plain logits that rounding can explain, relative to their spread.
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}


class ModelRunner:
    """A `Runner` over `network`, which writes into slots of its own."""

    seconds_per_token = 0.0

    def __init__(
        self, network: Network, vocabulary: Vocabulary, window: int, precision: str, num_slots: int | None = None
    ) -> None:
        self._network = network
        self.vocabulary = vocabulary
        self.window = window
        self.precision = precision
        most = MAX_SLOTS if network.as_used else USUAL_SLOTS
        most = min(most, _MAX_CACHE_BYTES // (network.position_bytes * window))
        self.num_slots = num_slots or max(_MIN_SLOTS, most)
        self._slots = network.new_slots(self.num_slots, window)
        self.slot_bytes = footprint(self._slots) // self.num_slots

    def forward(self, rows: AnySequence[BatchItem], should_stop: Callable[[], bool]) -> Floats:
        for row in rows:
            self._slots.begin(row.slot, row.past, row.past + len(row.token_ids))
        with torch.inference_mode():
            logits: Floats = self._network.logits(rows, self._slots, should_stop).float().cpu().numpy()
        for row in rows:
            self._slots.commit(row.slot, row.past + len(row.token_ids))
        return logits

    def copy_slot(self, source: int, target: int, num_tokens: int) -> None:
        self._slots.copy(source, target, num_tokens)

    def check_integrity(self) -> None:
        self._slots.check_integrity()


def open_model(model: PreTrainedModel, window: int) -> TransformersNetwork:
    """The general network over `model`, which becomes its own. Raises LoadFailed if the model does not compute
    through slots what it computes by itself."""
    token_ids = _probe_ids(model.get_output_embeddings().weight.shape[0], window)
    with torch.inference_mode():
        output = model.eval()(input_ids=torch.tensor([token_ids], device=model.device), use_cache=False)
        expected = output.logits[0, -1].float().cpu()
    network = TransformersNetwork(model)
    if not _is_close(_in_three_steps(network, token_ids), expected, network.dtype):
        raise LoadFailed("This model's architecture is not supported: it does not compute as it should.")
    return network


def computes_alike(network: Network, reference: Network, vocabulary_size: int, window: int) -> bool:
    """Whether both give the same logits, but for rounding in fp32."""
    token_ids = _probe_ids(vocabulary_size, window)
    expected = _in_three_steps(reference, token_ids)
    return _is_close(_in_three_steps(network, token_ids), expected, torch.float32)


def _probe_ids(vocabulary_size: int, window: int) -> list[int]:
    return [7 * number % vocabulary_size for number in range(1, min(12, window))]


def _in_three_steps(network: Network, token_ids: AnySequence[int]) -> torch.Tensor:
    """The logits `[vocabulary]` after the tokens: the first half, the second on top of it, then one by itself."""
    slots = network.new_slots(1, len(token_ids))
    ends = (len(token_ids) // 2, len(token_ids) - 1, len(token_ids))
    with torch.inference_mode():
        for begin, end in zip((0, *ends), ends, strict=False):
            logits = network.logits([BatchItem(0, token_ids[begin:end], begin, True)], slots, lambda: False)
        return logits[0].float().cpu()


def _is_close(computed: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> bool:
    difference = float((computed - expected).abs().max())
    return difference <= _TOLERANCE.get(dtype, 0.05) * max(1.0, float(expected.std()))
