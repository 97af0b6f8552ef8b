"""Turns the bundled model's GGUF file into the safetensors folder the engine loads: run once, as a process of its own.

Owns what has to be put right on the way (pre-tokenizer, end ids, leftovers of the quantization). Knows nothing of
where the two lie.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils import logging

# Half precision keeps every bit that four-bit weights with half-precision scales have, but for a rounding of
# 2**-11, and halves the file.
STORED_DTYPE = torch.float16


def convert(source: Path, target: Path) -> None:
    """Writes config, weights and tokenizer of the GGUF file `source` into the existing folder `target`."""
    _convert_weights(source, target)
    _convert_tokenizer(source, target)


def _convert_weights(source: Path, target: Path) -> None:
    dequantized = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=STORED_DTYPE)
    # The loaded model still calls itself quantized and refuses to be saved; a fresh one with its weights does not.
    config = dequantized.config
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=STORED_DTYPE)
    model.load_state_dict(dequantized.state_dict())
    # The chat ends with <|im_end|>, the texts it was pretrained on with <|endoftext|>: both end a story.
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=[2, 0], pad_token_id=2)
    model.save_pretrained(target)


def _convert_tokenizer(source: Path, target: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    # GGUF names this model's pre-tokenizer ("smollm"), the loader falls back to GPT-2's, which splits off no digits.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.save_pretrained(target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    paths = parser.parse_args()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    convert(paths.source, paths.target)


if __name__ == "__main__":
    main()
