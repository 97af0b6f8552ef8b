"""How well the bundled model foretells a book: in fp32, in 8 bits, and by llama.cpp at Q8_0.

Run it as `python -m benchmarks.perplexity [TOKENS]`; 20,000 tokens take three minutes. The last line is JSON. The book
is read in windows of 1,024 tokens, each 768 further on; what a window says of its last 768 tokens counts. llama.cpp's
server tells one token's probability at a time, so that it is asked about one stretch only, and both others beside it.
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

from benchmarks.models import BUNDLED, ROOT, book, can_compare, chosen_format
from generator.engine.int8.open_network import open_int8
from generator.engine.loading.precision import MeasuredNetwork
from generator.engine.loading.pretrained_vocabulary import read_vocabulary
from generator.engine.networks.model_weights import read_family
from generator.engine.networks.torch_network import TorchNetwork

WINDOW, STRIDE = 1024, 768
# Four places of the book, each after 256 tokens of it.
PLACES, BEFORE, ASKED = 4, 256, 256


def networks() -> tuple[dict[str, MeasuredNetwork], list[int]]:
    """And the book's tokens, after the one that leads every window."""
    folder = ROOT / BUNDLED.location
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    vocabulary = read_vocabulary(AutoTokenizer.from_pretrained(folder), model)
    family = read_family(model, WINDOW)
    assert family is not None
    rounded = open_int8(family)
    assert rounded is not None, "8 bits cannot be had here"
    rounded.use(chosen_format())
    return {"fp32": TorchNetwork(family), "int8": rounded}, [vocabulary.start_id, *vocabulary.tokenize(book()).ids]


def windows(count: int) -> Iterator[tuple[int, int, int]]:
    """Where each begins and ends, and from where on its tokens count: each counts once."""
    counted = 1
    for begin in range(0, count, STRIDE):
        end = min(begin + WINDOW, count)
        yield begin, end, counted
        counted = end
        if end == count:
            return


def logprobs(network: MeasuredNetwork, token_ids: list[int], counted: int) -> list[float]:
    """Of the tokens from `counted` on, each after all before it."""
    with torch.inference_mode():
        logits = network.passage_logits(token_ids[:-1])[counted - 1 :]
        found = torch.log_softmax(logits.float(), -1).gather(1, torch.tensor(token_ids[counted:])[:, None])
    return [float(value) for value in found[:, 0]]


def perplexity(found: list[float]) -> float:
    return round(math.exp(-sum(found) / len(found)), 4)


def whole_book(networks: dict[str, MeasuredNetwork], token_ids: list[int]) -> dict[str, float]:
    found: dict[str, list[float]] = {name: [] for name in networks}
    for begin, end, counted in windows(len(token_ids)):
        for name, network in networks.items():
            found[name] += logprobs(network, token_ids[begin:end], counted - begin)
    return {name: perplexity(values) for name, values in found.items()}


def beside_llama_cpp(networks: dict[str, MeasuredNetwork], token_ids: list[int], asked: int) -> dict[str, float]:
    """Over the same tokens."""
    from benchmarks.llama_cpp import LlamaCpp

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
