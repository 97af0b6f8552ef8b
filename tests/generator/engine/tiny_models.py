"""Tiny models for tests: GPT-2 and Llama with random weights, and a byte-level tokenizer, without any files."""

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
from generator.engine.networks.model_runner import ModelRunner, open_transformers_network
from generator.engine.networks.model_weights import ModelWeights, read_weights
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
def tiny_model(architecture: str) -> PreTrainedModel:
    """Return a model with random weights, scaled so that a few logits are clearly the largest.

    `architecture` is `gpt2` or `llama`. With a prefix that begins with `int8` the model is wide enough for the 8-bit
    network. All tests share the model, so copy it before you run or change it.
    """
    torch.manual_seed(7)
    wide = architecture.startswith("int8")
    size = len(tiny_tokenizer())
    if architecture.endswith("gpt2"):
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


def tiny_weights(architecture: str, window: int) -> ModelWeights:
    weights = read_weights(copy_of(tiny_model(architecture)), window)
    assert weights is not None
    return weights


class UncapturedGraphNetwork(CudaGraphNetwork):
    """Computes the static steps on the CPU instead of replaying them on a GPU, in chunks of four tokens."""

    def new_slots(self, num_slots: int, window: int) -> CudaGraphCache:
        return CudaGraphCache(self._layers, num_slots, window, self.dtype, self.device, self._capture, chunk=4)

    def _capture(self, new_step: Callable[[], StaticStep]) -> Callable[[], torch.Tensor]:
        return lambda: self._compute(new_step())


def tiny_runner(kind: str, window: int = 48, num_slots: int = 4) -> ModelRunner:
    """Return a runner over a tiny model. `kind` is an architecture, with the network in front of it.

    `gpt2` runs the transformers network, `torch gpt2` the torch network, `cuda-graph gpt2` the CUDA graph network
    without a GPU, `int8 gpt2` the 8-bit network, and `int8-a8 gpt2` the 8-bit network in the format of this name.
    """
    network: Network
    name = kind.rpartition(" ")[0]
    if not name:
        network = open_transformers_network(copy_of(tiny_model(kind)), window)
    elif name == "cuda-graph":
        network = UncapturedGraphNetwork(tiny_weights(kind, window))
    elif name == "torch":
        network = TorchNetwork(tiny_weights(kind, window))
    else:
        network = Int8Network(tiny_weights(kind, window), threads=2)
        if name != "int8":
            network.use(name)
    return ModelRunner(network, tiny_vocabulary(), window, "fp32", num_slots)
