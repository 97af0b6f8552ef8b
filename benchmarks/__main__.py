"""`python -m benchmarks [ROUNDS]`: a table, and the same as one line of JSON.

Each round takes about ten seconds a model and format. GPT-2 has random weights: its speed does not depend on them,
its error would, and is not measured.
"""

from __future__ import annotations

import copy
import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, PreTrainedModel

from benchmarks.streams import decode, generate, medians, prefill
from generator.engine.model_runner import ModelRunner
from generator.engine.packed_network import pack_model
from generator.engine.precision import pack
from generator.engine.vocabulary import Vocabulary

BUNDLED = Path(__file__).parents[1] / ".models" / "smollm2-135m-instruct"
STREAMS = (1, 4, 16)
FORMATS = ("fp32", "int8", "int8 fine")


def models() -> Iterator[tuple[str, PreTrainedModel]]:
    torch.manual_seed(0)
    yield "GPT-2 124M", GPT2LMHeadModel(GPT2Config()).eval()
    if BUNDLED.is_dir():
        yield "SmolLM2-135M", AutoModelForCausalLM.from_pretrained(BUNDLED, dtype=torch.float32).eval()


def no_vocabulary(size: int) -> Vocabulary:
    return Vocabulary((b"?",) * size, {}, 0, frozenset(), size, "", lambda text: ([], []))


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    results = {}
    for model_name, model in models():
        original = copy.deepcopy(model)
        for precision in FORMATS:
            network = pack_model(model, 1024)
            assert network is not None
            pack(network.forward, precision, precision)
            runner = ModelRunner(network, no_vocabulary(model.config.vocab_size), 1024, precision, max(STREAMS))
            wanted = {f"{n} streams": partial(decode, runner, n) for n in STREAMS}
            wanted |= {"prefill": partial(prefill, runner), "transformers": partial(generate, original)}
            found = medians(wanted, rounds)
            results[f"{model_name} {precision}"] = found
            cells = "  ".join(f"{name} {value:7.1f}" for name, value in found.items())
            print(f"{model_name:13} {precision:10} {cells}", flush=True)
    print(json.dumps({"threads": torch.get_num_threads(), "rounds": rounds, "tokens_per_second": results}))


if __name__ == "__main__":
    main()
