"""Perplexity of the bundled model on a book: in fp32, in 8 bits, and by llama.cpp at Q8_0.

Run it as `python -m benchmarks.parts.perplexity [TOKENS]`; 20,000 tokens take three minutes. The last line is JSON. The
book is read in windows of 1,024 tokens, each 768 tokens after the one before; the last 768 tokens of a window count.
llama.cpp's server reports one token's probability per request, so all three are compared on shorter stretches.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from benchmarks.rig.models import BUNDLED, ROOT, book, can_compare, chosen_format
from generator.engine.int8.open_network import open_int8
from generator.engine.loading.precision import MeasuredNetwork
from generator.engine.loading.pretrained_vocabulary import read_vocabulary
from generator.engine.networks.model_weights import read_weights
from generator.engine.networks.torch_network import TorchNetwork

WINDOW, STRIDE = 1024, 768
# For llama.cpp: four places of the book, each with 256 tokens of context.
PLACES, BEFORE, ASKED = 4, 256, 256


def networks() -> tuple[dict[str, MeasuredNetwork], list[int]]:
    """The model in fp32 and in 8 bits, and the book's tokens after the start token."""
    folder = ROOT / BUNDLED.location
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    vocabulary = read_vocabulary(AutoTokenizer.from_pretrained(folder), model)
    weights = read_weights(model, WINDOW)
    assert weights is not None
    quantized = open_int8(weights)
    assert quantized is not None, "The 8-bit network is not available here."
    quantized.use(chosen_format())
    return {"fp32": TorchNetwork(weights), "int8": quantized}, [vocabulary.start_id, *vocabulary.tokenize(book()).ids]


def windows(count: int) -> Iterator[tuple[int, int, int]]:
    """The begin and end of each window, and the place from which its tokens count. Each token counts once."""
    counted = 1
    for begin in range(0, count, STRIDE):
        end = min(begin + WINDOW, count)
        yield begin, end, counted
        counted = end
        if end == count:
            return


def logprobs(network: MeasuredNetwork, token_ids: list[int], counted: int) -> list[float]:
    """The log probabilities of the tokens from `counted` on, each after all tokens before it."""
    with torch.inference_mode():
        logits = network.passage_logits(token_ids[:-1])[counted - 1 :]
        found = torch.log_softmax(logits.float(), -1).gather(1, torch.tensor(token_ids[counted:])[:, None])
    return [float(value) for value in found[:, 0]]


def perplexity(found: list[float]) -> float:
    """The perplexity of tokens with these log probabilities."""
    return round(math.exp(-sum(found) / len(found)), 4)


def whole_book(networks: dict[str, MeasuredNetwork], token_ids: list[int]) -> dict[str, float]:
    """The perplexity of each network over all windows."""
    found: dict[str, list[float]] = {name: [] for name in networks}
    for begin, end, counted in windows(len(token_ids)):
        for name, network in networks.items():
            found[name] += logprobs(network, token_ids[begin:end], counted - begin)
    return {name: perplexity(values) for name, values in found.items()}


def beside_llama_cpp(networks: dict[str, MeasuredNetwork], token_ids: list[int], asked: int) -> dict[str, float]:
    """The perplexity of the networks and of llama.cpp over the same `asked` tokens."""
    from benchmarks.rig.llama_cpp import LlamaCpp

    length = BEFORE + asked // PLACES
    step = (len(token_ids) - length) // PLACES
    stretches = [token_ids[place * step : place * step + length] for place in range(PLACES)]
    found = {
        name: [value for stretch in stretches for value in logprobs(network, stretch, BEFORE)]
        for name, network in networks.items()
    }
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(PLACES) as pool:
        server = LlamaCpp(Path(folder), PLACES, torch.get_num_threads())

        def ask(stretch: list[int]) -> list[float]:
            return [server.logprob(stretch[:at], stretch[at]) for at in range(BEFORE, length)]

        found["llama.cpp Q8_0"] = [value for values in pool.map(ask, stretches) for value in values]
    return {name: perplexity(values) for name, values in found.items()}


def main(tokens: int) -> None:
    opened, token_ids = networks()
    token_ids = token_ids[: tokens + 1]
    results = {"whole": {"tokens": len(token_ids) - 1, **whole_book(opened, token_ids)}}
    whole = results["whole"]
    whole["int8_to_fp32"] = round(whole["int8"] / whole["fp32"], 5)
    if can_compare():
        asked = min(PLACES * ASKED, tokens // 2)
        results["beside"] = beside = {"tokens": asked, **beside_llama_cpp(opened, token_ids, asked)}
        beside["int8_to_llama_cpp"] = round(beside["int8"] / beside["llama.cpp Q8_0"], 5)
    for name, found in results.items():
        print(f"{name:7}" + "  ".join(f"{key} {value}" for key, value in found.items()), flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
