"""Loops: the share of 4-grams that a long text repeats, with several voices (sampling parameters).

Run it as `python -m benchmarks.parts.loops [TOKENS]`; 5,000 tokens take four minutes. All voices write at once, through
the engine's own loop, with the bundled model. The last line is JSON. A 4-gram counts as repeated if the same 4-gram
occurred before, in the whole text or in the last 512 tokens. `longest` is the length of the longest stretch of tokens
that occurs twice.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from benchmarks.rig.models import BUNDLED, ROOT, load
from generator.engine.loop import Loop
from generator.engine.networks.runner import LoadOptions
from generator.wire.messages import Chunk, EngineEvent, Piece, Set
from generator.wire.sampling_params import SamplingParams

BEGINNING = "Once upon a time, in a village by the sea, there lived an old woman who mended nets."
GRAM, NEAR = 4, 512
SEEDS = (1, 2, 3)

OFF: dict[str, object] = {"temperature": 1, "min_p": 0, "repetition_penalty": 1, "dry_multiplier": 0}
VOICES: dict[str, dict[str, object]] = {
    "greedy": OFF | {"temperature": 0},
    "plain": OFF,
    "min-p only": OFF | {"temperature": 0.9, "min_p": 0.05},
    "defaults": {},
}


def repeated(tokens: Sequence[int], reach: int) -> float:
    """The share of 4-grams that also began within the `reach` tokens before."""
    grams = [tuple(tokens[at : at + GRAM]) for at in range(len(tokens) - GRAM + 1)]
    seen: dict[tuple[int, ...], int] = {}
    count = 0
    for at, gram in enumerate(grams):
        count += gram in seen and at - seen[gram] <= reach
        seen[gram] = at
    return count / max(1, len(grams))


def longest_repeat(tokens: Sequence[int]) -> int:
    """The length of the longest stretch that occurs twice, by binary search: its parts occur twice as well."""
    low, high = 0, len(tokens)
    while low < high:
        length = (low + high + 1) // 2
        stretches = [tuple(tokens[at : at + length]) for at in range(len(tokens) - length + 1)]
        if len(set(stretches)) < len(stretches):
            low = length
        else:
            high = length - 1
    return low


def write(voices: dict[str, dict[str, object]], tokens: int) -> dict[str, list[list[int]]]:
    """Let the model write `tokens` tokens with each voice and seed. Return the token ids of each voice, by seed."""
    written: dict[str, list[int]] = {f"{name}/{seed}": [] for name in voices for seed in SEEDS}

    def publish(event: EngineEvent) -> None:
        if isinstance(event, Chunk):
            written[event.sequence] += [token[0] for token in event.tokens]

    loop = Loop(LoadOptions(ROOT, precision="int8"), publish)
    loop.models.add(BUNDLED, load(BUNDLED))
    for name, settings in voices.items():
        for seed in SEEDS:
            sampling = SamplingParams().merged(settings | {"seed": seed})
            pieces = (Piece(BEGINNING),)
            loop.submit(Set(f"{name}/{seed}", 1, "o", BUNDLED, None, (), pieces, sampling, 0, 0, 0, tokens))
    loop.drain(0)
    while loop.step() == 0:
        loop.drain(0)
    return {name: [written[f"{name}/{seed}"] for seed in SEEDS] for name in voices}


def main(voices: dict[str, dict[str, object]]) -> None:
    tokens = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    results = {}
    for name, texts in write(voices, tokens).items():
        results[name] = found = {
            "repeated": round(sum(repeated(text, tokens) for text in texts) / len(texts), 4),
            "repeated_near": round(sum(repeated(text, NEAR) for text in texts) / len(texts), 4),
            "longest": max(map(longest_repeat, texts)),
        }
        print(f"{name:14} " + "  ".join(f"{measure} {value}" for measure, value in found.items()), flush=True)
    print(json.dumps({"tokens": tokens, "seeds": len(SEEDS), "voices": results}))


if __name__ == "__main__":
    main(VOICES)
