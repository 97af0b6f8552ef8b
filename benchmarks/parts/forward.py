"""Tokens a second of the engine's forward pass, measured in turns with `transformers.generate` and llama.cpp.

Run it as `python -m benchmarks.parts.forward [ROUNDS]`; five rounds take 15 minutes on two cores. All programs compute
the same weights. The last line is JSON. llama.cpp takes part where benchmarks/requirements.txt is installed. `int8` is
the format that the program chooses for SmolLM2. GPT-2 has random weights: its speed does not depend on them, but its
error would, and is not measured. So for GPT-2 `int8` is the fastest format, and the most exact format is measured too.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, PreTrainedModel

from benchmarks.rig.models import BUNDLED, ROOT, can_compare, chosen_format
from benchmarks.rig.record import GPT2, SMOLLM2
from benchmarks.rig.streams import LONG, SHORT, decode, generate, medians, prefill, rounds_of
from generator.engine.int8.open_network import open_int8
from generator.engine.networks.model_runner import ModelRunner
from generator.engine.networks.model_weights import read_weights
from generator.engine.networks.network import Network
from generator.engine.networks.torch_network import TorchNetwork
from generator.engine.tokens.vocabulary import Vocabulary

WINDOW = 1024
MOST_EXACT = "int8-a16"
STREAMS = {"fp32": (1, 16), "int8": (1, 4, 16, 32), MOST_EXACT: (1, 16, 32)}
MOST = 32


def models() -> Iterator[tuple[str, PreTrainedModel]]:
    """GPT-2 with random weights, and the bundled model where it is installed."""
    torch.manual_seed(0)
    yield GPT2, GPT2LMHeadModel(GPT2Config()).eval()
    folder = ROOT / BUNDLED.location
    if folder.is_dir():
        yield SMOLLM2, AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def no_vocabulary(size: int) -> Vocabulary:
    """A vocabulary of `size` tokens for a runner that makes no text."""
    return Vocabulary((b"?",) * size, {}, 0, frozenset(), size, "", lambda text: ([], []))


def networks(model: PreTrainedModel) -> Iterator[tuple[str, Network]]:
    """The model in fp32 and in 8 bits."""
    weights = read_weights(model, WINDOW)
    assert weights is not None
    yield "fp32", TorchNetwork(weights)
    is_random = model.config.model_type == "gpt2"
    for name in ("int8", MOST_EXACT) if is_random else ("int8",):
        if (quantized := open_int8(weights)) is not None:
            fastest = quantized.formats[0] if is_random else chosen_format()
            quantized.use(fastest if name == "int8" else MOST_EXACT)
            yield name, quantized


def runners(model: PreTrainedModel) -> Iterator[tuple[str, ModelRunner]]:
    for precision, network in networks(model):
        yield precision, ModelRunner(network, no_vocabulary(model.config.vocab_size), WINDOW, precision, MOST)


def measurements(model: PreTrainedModel) -> dict[str, Callable[[], float]]:
    """The measurements of one model, by the names in the record, without llama.cpp."""
    wanted: dict[str, Callable[[], float]] = {}
    for context in (SHORT, LONG):
        wanted[f"transformers.generate, {context} tokens before"] = partial(generate, model, context)
    for precision, runner in runners(model):
        for context in (SHORT, LONG):
            for streams in STREAMS[precision]:
                name = f"{precision}, {streams} streams, {context} tokens before"
                wanted[name] = partial(decode, runner, streams, context)
        wanted[f"{precision}, prefill of {LONG} tokens"] = partial(prefill, runner)
    return wanted


def measurements_of_llama_cpp(folder: Path) -> dict[str, Callable[[], float]]:
    """The measurements of llama.cpp, or none where it is not installed."""
    if not can_compare():
        return {}
    from benchmarks.rig.llama_cpp import LlamaCpp

    server = LlamaCpp(folder, MOST, torch.get_num_threads())
    wanted: dict[str, Callable[[], float]] = {f"llama.cpp, prefill of {LONG} tokens": server.prefill}
    # Prefilling many long contexts would take llama.cpp longer than all other measurements together.
    for context, several in ((SHORT, STREAMS["int8"]), (LONG, (1,))):
        for streams in several:
            name = f"llama.cpp, {streams} streams, {context} tokens before"
            wanted[name] = partial(server.decode, streams, context)
    return wanted


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    results: dict[str, dict[str, float]] = {}
    each_round: dict[str, dict[str, list[float]]] = {}
    for model_name, model in models():
        with tempfile.TemporaryDirectory() as folder:
            others = measurements_of_llama_cpp(Path(folder)) if model_name == SMOLLM2 else {}
            each_round[model_name] = rounds_of(measurements(model) | others, rounds)
        results[model_name] = medians(each_round[model_name])
        for name, value in results[model_name].items():
            print(f"{model_name:13} {name:45} {value:7.1f}", flush=True)
    figures: dict[str, object] = {"threads": torch.get_num_threads(), "rounds": rounds}
    figures |= {"tokens_per_second": results, "each_round": each_round}
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
