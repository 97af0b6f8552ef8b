"""Model runner: a network and its slots, which compute a packed batch of any number of sequences.

Owns the number of slots, the writing of their positions, and the check that a network gives the model's logits.
Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence

import torch
from transformers import PreTrainedModel

from generator.engine.networks.memory_size import memory_size
from generator.engine.networks.network import Network
from generator.engine.networks.runner import DEFAULT_SLOTS, MAX_SLOTS, BatchItem, LoadFailed
from generator.engine.networks.transformers_network import TransformersNetwork
from generator.engine.sampling.arrays import Floats
from generator.engine.tokens.vocabulary import Vocabulary

_MIN_SLOTS = 2
_MAX_CACHE_BYTES = 3 * 2**29
# The largest difference between two networks' logits that rounding can explain, relative to the logits' spread.
_TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}


class ModelRunner:
    """A `Runner` over `network`."""

    seconds_per_token = 0.0

    def __init__(
        self, network: Network, vocabulary: Vocabulary, window: int, precision: str, num_slots: int | None = None
    ) -> None:
        self._network = network
        self.vocabulary = vocabulary
        self.window = window
        self.precision = precision
        limit = MAX_SLOTS if network.allocates_lazily else DEFAULT_SLOTS
        limit = min(limit, _MAX_CACHE_BYTES // (network.position_bytes * window))
        self.num_slots = num_slots or max(_MIN_SLOTS, limit)
        self._slots = network.new_slots(self.num_slots, window)
        self.slot_bytes = memory_size(self._slots) // self.num_slots

    def forward(self, items: AnySequence[BatchItem], should_stop: Callable[[], bool]) -> Floats:
        """Compute all items in one step and return logits `[items that want logits, vocabulary.size]`.

        Raise Interrupted once `should_stop` returns true. Raise IndexError if an item leaves a gap in its slot or
        exceeds the window.
        """
        for item in items:
            self._slots.begin(item.slot, item.start, item.start + len(item.token_ids))
        with torch.inference_mode():
            logits: Floats = self._network.logits(items, self._slots, should_stop).float().cpu().numpy()
        for item in items:
            self._slots.commit(item.slot, item.start + len(item.token_ids))
        return logits

    def copy_slot(self, source: int, target: int, num_tokens: int) -> None:
        """Copy the first `num_tokens` positions of slot `source` to slot `target`."""
        self._slots.copy(source, target, num_tokens)

    def check_integrity(self) -> None:
        """Raise ValueError if a valid position is outside the window or holds a value that is not finite."""
        self._slots.check_integrity()


def open_transformers_network(model: PreTrainedModel, window: int) -> TransformersNetwork:
    """Return a transformers network over `model`, which it takes over.

    Raise LoadFailed if the network's logits differ from the logits that the model computes without slots.
    """
    token_ids = _check_tokens(model.get_output_embeddings().weight.shape[0], window)
    with torch.inference_mode():
        output = model.eval()(input_ids=torch.tensor([token_ids], device=model.device), use_cache=False)
        expected = output.logits[0, -1].float().cpu()
    network = TransformersNetwork(model)
    if not _is_close(_chunked_logits(network, token_ids), expected, network.dtype):
        raise LoadFailed(
            "This model's architecture is not supported: it computed wrong results in the check on loading."
        )
    return network


def logits_agree(network: Network, reference: Network, vocabulary_size: int, window: int) -> bool:
    """Whether both networks compute the same logits, apart from rounding in fp32."""
    token_ids = _check_tokens(vocabulary_size, window)
    expected = _chunked_logits(reference, token_ids)
    return _is_close(_chunked_logits(network, token_ids), expected, torch.float32)


def _check_tokens(vocabulary_size: int, window: int) -> list[int]:
    return [7 * number % vocabulary_size for number in range(1, min(12, window))]


def _chunked_logits(network: Network, token_ids: AnySequence[int]) -> torch.Tensor:
    """Return the logits `[vocabulary]` after the tokens, computed in three steps.

    The first two steps prefill one half each, except for the last token, which the third step decodes.
    """
    slots = network.new_slots(1, len(token_ids))
    ends = (len(token_ids) // 2, len(token_ids) - 1, len(token_ids))
    with torch.inference_mode():
        for begin, end in zip((0, *ends), ends, strict=False):
            logits = network.logits([BatchItem(0, token_ids[begin:end], begin, True)], slots, lambda: False)
        return logits[0].float().cpu()


def _is_close(computed: torch.Tensor, expected: torch.Tensor, dtype: torch.dtype) -> bool:
    difference = float((computed - expected).abs().max())
    return difference <= _TOLERANCE.get(dtype, 0.05) * max(1.0, float(expected.std()))
