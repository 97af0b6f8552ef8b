"""Tokens a second on a GPU: CUDA graphs, the transformers network and `transformers.generate`, in turns.

Run it as `python -m benchmarks.parts.gpu [ROUNDS]` where torch finds a GPU. The weights are random: speed does not
depend on them. `engine` is the engine's own loop, which also schedules, samples and detokenizes. The last line is JSON.
"""

from __future__ import annotations

import copy
import json
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM, PreTrainedModel

from benchmarks.parts.forward import WINDOW, no_vocabulary
from benchmarks.rig.streams import LONG, SHORT, decode, generate, medians, prefill, rounds_of
from generator.engine.loop import Loop
from generator.engine.networks.cuda_graph_network import CudaGraphNetwork
from generator.engine.networks.model_runner import ModelRunner, open_transformers_network
from generator.engine.networks.model_weights import read_weights
from generator.engine.networks.network import Network
from generator.engine.networks.runner import LoadOptions
from generator.wire.messages import Chunk, EngineEvent, ModelSpec, Piece, Set
from generator.wire.sampling_params import SamplingParams

STREAMS = (1, 16)
TOKENS = 64


def models() -> Iterator[tuple[str, PreTrainedModel]]:
    """Models of the shapes of GPT-2 and SmolLM2, on the GPU."""
    torch.manual_seed(0)
    yield "GPT-2 124M", _on_gpu(GPT2LMHeadModel(GPT2Config()))
    shape = LlamaConfig(
        num_hidden_layers=30,
        hidden_size=576,
        num_attention_heads=9,
        num_key_value_heads=3,
        intermediate_size=1536,
        vocab_size=49152,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
    )
    yield "SmolLM2-135M", _on_gpu(LlamaForCausalLM(shape))


def _on_gpu(model: PreTrainedModel) -> PreTrainedModel:
    torch.nn.Module.to(model.eval(), torch.device("cuda"))
    return model


def networks(model: PreTrainedModel) -> dict[str, Network]:
    """The transformers network (`general`), and CUDA graphs (`captured`) in fp32 and bf16."""
    weights = read_weights(model, WINDOW)
    assert weights is not None
    rounded = CudaGraphNetwork(weights.rounded_to(torch.bfloat16))
    exact = CudaGraphNetwork(weights)
    general = open_transformers_network(copy.deepcopy(model), WINDOW)
    return {"general, fp32": general, "captured, fp32": exact, "captured, bf16": rounded}


def write(runner: ModelRunner, drafts: int) -> float:
    """Tokens per second of `drafts` drafts through the engine's loop, with the default voice, from the first token."""
    begun = 0.0
    count = 0

    def publish(event: EngineEvent) -> None:
        nonlocal begun, count
        if isinstance(event, Chunk):
            begun = begun or time.perf_counter()
            count += len(event.tokens)

    loop, spec = Loop(LoadOptions(Path()), publish), ModelSpec("folder", "m")
    loop.models.add(spec, runner)
    for number in range(drafts):
        pieces = (Piece("Once upon a time"),)
        loop.submit(Set(str(number), 1, "o", spec, None, (), pieces, SamplingParams(seed=1), 0, 0, 0, 4 * TOKENS))
    loop.drain(0)
    while loop.step() == 0:
        loop.drain(0)
    return count / (time.perf_counter() - begun)


def measurements(model: PreTrainedModel) -> dict[str, Callable[[], float]]:
    """The measurements of one model, by name."""
    wanted: dict[str, Callable[[], float]] = {}
    for context in (SHORT, LONG):
        wanted[f"transformers.generate, {context} tokens before"] = partial(generate, model, context, TOKENS)
    for name, network in networks(model).items():
        runner = ModelRunner(network, no_vocabulary(model.config.vocab_size), WINDOW, name)
        for context in (SHORT, LONG):
            for streams in STREAMS:
                wanted[f"{name}, {streams} streams, {context} tokens before"] = partial(
                    decode, runner, streams, context, TOKENS
                )
        wanted[f"{name}, prefill of {LONG} tokens"] = partial(prefill, runner)
        for streams in STREAMS:
            wanted[f"{name}, engine, {streams} drafts"] = partial(write, runner, streams)
    return wanted


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    results = {}
    for model_name, model in models():
        results[model_name] = medians(rounds_of(measurements(model), rounds))
        for name, value in results[model_name].items():
            print(f"{model_name:13} {name:48} {value:9.1f}", flush=True)
    device = torch.cuda.get_device_name()
    print(json.dumps({"device": device, "torch": torch.__version__, "rounds": rounds, "tokens_per_second": results}))


if __name__ == "__main__":
    main()
