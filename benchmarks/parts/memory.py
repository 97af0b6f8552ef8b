"""Memory: the size of the engine process while sixteen drafts write, each with a full window.

Run it as `python -m benchmarks.parts.memory [TOKENS]`; it takes two minutes. The last line is JSON. A real engine
process of its own loads each model. `rss_mb` is the process's whole memory while the drafts write, `peak_mb` its
highest value ever, mostly during loading, and `tensors_mb` the part taken by the model's weights and its KV cache.
"""

from __future__ import annotations

import json
import os
import sys

import psutil

from benchmarks.rig.models import BUNDLED, ROOT, book, load, random_gpt2
from benchmarks.rig.record import GPT2, SMOLLM2
from generator.engine.loading.loaded_models import LoadedModel
from generator.wire.messages import Chunk, Failed, ModelSpec, Piece, Set, Status
from generator.wire.sampling_params import SamplingParams
from tests.generator.engine.engine_process import EngineProcess, engine_process

DRAFTS = 16
# About 900 tokens of the book. With 160 more, each draft's window has been full and has moved.
LETTERS, TOKENS = 3600, 160
MB = 10**6
PATIENCE_SECONDS = 300


def measure(spec: ModelSpec, tokens: int) -> dict[str, int]:
    """The memory of an engine process that runs one model, in MB."""
    with engine_process(root=str(ROOT), precision="int8", threads=os.cpu_count(), libraries=True) as engine:
        engine.socket.settimeout(PATIENCE_SECONDS)
        process = psutil.Process(engine.process.pid)
        most = write(engine, process, spec, tokens)
        peak = process.memory_info()
        # The system's own peak value exists on Windows and, in /proc, on Linux.
        highest = getattr(peak, "peak_wset", 0) or _high_water(process.pid)
    return {
        "rss_mb": most // MB,
        "peak_mb": highest // MB,
        "tensors_mb": LoadedModel(spec, load(spec), lambda _: False).num_bytes // MB,
    }


def write(engine: EngineProcess, process: psutil.Process, spec: ModelSpec, tokens: int) -> int:
    """Let all drafts write, and return the highest memory of the process meanwhile, in bytes."""
    text = book()
    for draft in range(DRAFTS):
        piece = Piece(text[1200 * draft :][:LETTERS])
        sampling = SamplingParams(seed=draft)
        engine.send(Set(str(draft), 1, "o", spec, None, (), (piece,), sampling, 0, 0, 0, tokens))
    most = written = 0
    while written < DRAFTS * tokens:
        event = engine.next()
        assert not isinstance(event, Failed), event.message
        assert not (isinstance(event, Status) and event.state == "failed"), event
        if isinstance(event, Chunk):
            written += len(event.tokens)
            most = max(most, process.memory_info().rss)
    return most


def _high_water(pid: int) -> int:
    """The highest memory of the process, in bytes; zero where /proc does not tell it."""
    try:
        with open(f"/proc/{pid}/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return 0


def main(tokens: int) -> None:
    results: dict[str, dict[str, int]] = {}
    with random_gpt2() as gpt2:
        for model, spec in {GPT2: gpt2, SMOLLM2: BUNDLED}.items():
            results[model] = found = measure(spec, tokens)
            print(f"{model:13} " + "  ".join(f"{name} {value}" for name, value in found.items()), flush=True)
    print(json.dumps({"drafts": DRAFTS, **results}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else TOKENS)
