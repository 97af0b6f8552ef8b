"""Tiny random models of the GPT-2 and Llama families, with a byte-level tokenizer made here: real code, no files."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from generator.engine.int8.network import Int8Network
from generator.engine.loading.pretrained_vocabulary import read_vocabulary
from generator.engine.networks.cuda_graph_cache import CudaGraphCache, StaticStep
from generator.engine.networks.cuda_graph_network import CudaGraphNetwork
from generator.engine.networks.model_runner import ModelRunner, open_model
from generator.engine.networks.model_weights import ModelWeights, read_family
from generator.engine.networks.network import Network
from generator.engine.networks.torch_network import TorchNetwork
from generator.engine.tokens.vocabulary import Vocabulary

torch.set_num_threads(1)

_CORPUS = ["the river ran to the sea and the old house stood there", "naïve café 🌊 ワード", "once upon a time\n\n"]
SPECIAL = ["<|endoftext|>", "[WP]", "[RESPONSE]"]


@cache
def tiny_tokenizer() -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=SPECIAL,
        show_progress=False,
    )
    backend.train_from_iterator(_CORPUS, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<|endoftext|>", bos_token="<|endoftext|>")


@cache
def tiny_model(family: str) -> PreTrainedModel:
    """Random weights, scaled so that logits have clear winners; wide enough for 8 bits if `family` is `int8 …`. Never
    run it: copy it."""
    torch.manual_seed(7)
    wide = family.startswith("int8")
    size = len(tiny_tokenizer())
    if family.endswith("gpt2"):
        model: PreTrainedModel = GPT2LMHeadModel(
            GPT2Config(
                n_layer=2,
                n_embd=64 if wide else 48,
                n_head=2 if wide else 4,
                vocab_size=size,
                n_positions=128,
                initializer_range=0.15,
                bos_token_id=0,
                eos_token_id=0,
            )
        )
    else:
        model = LlamaForCausalLM(
            LlamaConfig(
                num_hidden_layers=2,
                hidden_size=192 if wide else 72,
                num_attention_heads=6 if wide else 9,
                num_key_value_heads=2 if wide else 3,
                intermediate_size=96,
                vocab_size=size,
                max_position_embeddings=128,
                initializer_range=0.15,
                tie_word_embeddings=True,
                bos_token_id=0,
                eos_token_id=0,
            )
        )
    model.eval()
    return model


@cache
def tiny_vocabulary() -> Vocabulary:
    return read_vocabulary(tiny_tokenizer(), tiny_model("gpt2"))


def copy_of(model: PreTrainedModel) -> PreTrainedModel:
    own: PreTrainedModel = type(model)(copy.deepcopy(model.config))
    own.load_state_dict(model.state_dict())
    own.eval()
    return own


def tiny_family(family: str, window: int) -> ModelWeights:
    model = read_family(copy_of(tiny_model(family)), window)
    assert model is not None
    return model


class PlainGraphNetwork(CudaGraphNetwork):
    """Computes what a GPU would replay, in short chunks."""

    def new_slots(self, num_slots: int, window: int) -> CudaGraphCache:
        return CudaGraphCache(self._shapes, num_slots, window, self.dtype, self.device, self._prepare, chunk=4)

    def _prepare(self, begin: Callable[[], StaticStep]) -> Callable[[], torch.Tensor]:
        return lambda: self._compute(begin())


def tiny_runner(family: str, window: int = 48, num_slots: int = 4) -> ModelRunner:
    """By the general network, or by the family's own if `family` is `packed …`, as on a GPU if it is `graph …`, in
    8 bits if it is `int8 …`, or in one of its formats, `int8-a8 …`."""
    network: Network
    if family.startswith("graph"):
        network = PlainGraphNetwork(tiny_family(family, window))
    elif family.startswith(("packed", "int8")):
        network = TorchNetwork(tiny_family(family, window))
        if family.startswith("int8"):
            network = Int8Network(tiny_family(family, window), threads=2)
            if family.startswith("int8-"):
                network.use(family.split()[0])
    else:
        network = open_model(copy_of(tiny_model(family)), window)
    return ModelRunner(network, tiny_vocabulary(), window, "fp32", num_slots)
