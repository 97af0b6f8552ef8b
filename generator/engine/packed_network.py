"""Packed network: one step's rows through a family's own forward, on the CPU.

Owns which models have one, and how it meets the slots. Knows nothing of text, sampling or scheduling.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as AnySequence

import torch
from transformers import GPT2LMHeadModel, LlamaForCausalLM, PreTrainedModel

from generator.engine.forward import Forward
from generator.engine.gpt2_forward import Gpt2Forward, is_plain_gpt2
from generator.engine.grouped_attention import GroupedAttention
from generator.engine.kv_cache import KVCache, LayerShape
from generator.engine.llama_forward import LlamaForward, is_plain_llama
from generator.engine.runner import Row


class PackedNetwork:
    """A `Network` over `forward`."""

    dtype = torch.float32
    device = torch.device("cpu")

    def __init__(self, forward: Forward) -> None:
        self.forward = forward
        self.layers = [LayerShape(forward.num_kv_heads, forward.head_dim)] * len(forward.layers)

    def logits(self, rows: AnySequence[Row], cache: KVCache, should_stop: Callable[[], bool]) -> torch.Tensor:
        step = GroupedAttention(cache, rows, should_stop, self.forward.num_heads)
        hidden = self.forward.hidden(step.token_ids, step.positions, step.attend)
        return self.forward.logits(hidden[step.wanted])


def pack_model(model: PreTrainedModel, window: int) -> PackedNetwork | None:
    """The network of the model's family, with weights of its own; None for a model that has none."""
    # Subclasses may compute otherwise.
    if type(model) is LlamaForCausalLM and is_plain_llama(model):
        return PackedNetwork(LlamaForward(model, window))
    if type(model) is GPT2LMHeadModel and is_plain_gpt2(model):
        return PackedNetwork(Gpt2Forward(model))
    return None
