"""Conversion of the bundled model: its GGUF file becomes the safetensors folder that the engine loads.

Runs once, in a process of its own. Owns the corrections of the pre-tokenizer, of the end tokens and of the quantization
settings. Knows nothing of the locations of the file and the folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from tokenizers import pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.utils import logging

# The weights have four bits and half-precision scales. Half precision represents them with a relative rounding error of
# at most 2**-11, in half the file size.
STORED_DTYPE = torch.float16


def convert(source: Path, target: Path) -> None:
    """Write the config, weights and tokenizer of the GGUF file `source` into the existing folder `target`."""
    _convert_weights(source, target)
    _convert_tokenizer(source, target)


def _convert_weights(source: Path, target: Path) -> None:
    dequantized = AutoModelForCausalLM.from_pretrained(source.parent, gguf_file=source.name, dtype=STORED_DTYPE)
    # The loaded model is still marked as quantized and cannot be saved. A new model with the same weights can.
    config = dequantized.config
    del config.quantization_config
    model = AutoModelForCausalLM.from_config(config, dtype=STORED_DTYPE)
    model.load_state_dict(dequantized.state_dict())
    # <|im_end|> ends a chat message, <|endoftext|> a text of the pretraining. Both end a story.
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=[2, 0], pad_token_id=2)
    model.save_pretrained(target)


def _convert_tokenizer(source: Path, target: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
    # GGUF names the pre-tokenizer "smollm". The loader does not know it and uses GPT-2's, which does not split digits.
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.save_pretrained(target)


def main() -> None:
    """Convert the file named first on the command line into the folder named second."""
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
