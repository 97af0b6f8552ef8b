"""Load: from a `ModelSpec` to a model that is ready to run.

Owns the trust in files, the device and the window. No code in a model's files is ever executed:
remote code is off, safetensors are preferred, and `.bin` files are read as weights only. Knows nothing of sequences.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from generator.engine.loading.choose_network import choose_network
from generator.engine.loading.download import download
from generator.engine.loading.precision import PASSAGE
from generator.engine.loading.precision_cache import PrecisionCache
from generator.engine.loading.pretrained_vocabulary import read_vocabulary
from generator.engine.networks.model_runner import ModelRunner
from generator.engine.networks.runner import LoadFailed, LoadOptions
from generator.engine.tokens.window import MIN_WINDOW
from generator.wire.messages import ModelSpec

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

DEFAULT_WINDOW = 1024

_PRECISIONS = ("auto", "fp32", "bf16", "int8")
# The precision is measured on this many tokens of the passage.
_PASSAGE_TOKENS = 256
_PRECISION_FILE = ".models/precision.json"


def load_model(spec: ModelSpec, options: LoadOptions, on_progress: Callable[[float], None]) -> ModelRunner:
    """Return the model, ready to run. `on_progress` receives the progress from 0 to 1. Raise LoadFailed."""
    if options.precision not in _PRECISIONS:
        raise LoadFailed(f"There is no precision {options.precision!r}. Choose one of {', '.join(_PRECISIONS)}.")
    if options.threads:
        torch.set_num_threads(options.threads)
    folder = _find_folder(spec, options.root, on_progress)
    refuse_code(folder)
    # Weights are rounded from fp32. A transformers network in bf16 is converted later.
    model = _load_pretrained(folder, torch.float32)
    on_progress(0.8)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    vocabulary = read_vocabulary(tokenizer, model)
    torch.nn.Module.to(model, torch.device(choose_device(options.device)))
    on_progress(0.9)
    window = choose_window(spec, model)
    passage = [vocabulary.start_id, *vocabulary.tokenize(PASSAGE).ids][: min(_PASSAGE_TOKENS, window)]
    cache = PrecisionCache(options.root / _PRECISION_FILE, folder, model.device)
    network, precision = choose_network(model, window, passage, options.precision, cache)
    return ModelRunner(network, vocabulary, window, precision)


def choose_device(wanted: str) -> str:
    """Return the wanted device. `auto` is the GPU if torch finds one, otherwise the CPU."""
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_window(spec: ModelSpec, model: PreTrainedModel) -> int:
    """Return the model's window in tokens. Raise LoadFailed if it is below the minimum."""
    config = model.config.get_text_config()
    limits = [
        limit
        for limit in (getattr(config, "max_position_embeddings", None), getattr(config, "sliding_window", None))
        if isinstance(limit, int) and limit > 0
    ]
    window = min([spec.window or DEFAULT_WINDOW, *limits])
    if window < MIN_WINDOW:
        raise LoadFailed(f"The model's window has only {window} tokens. It needs at least {MIN_WINDOW}.")
    return window


def refuse_code(folder: Path) -> None:
    """Raise LoadFailed if the config asks for code of the model's own or for another attention implementation."""
    keys = list(_code_keys(_read_config(folder)))
    if keys:
        raise LoadFailed(f"The model's config.json asks for code of its own ({', '.join(keys)}), which is never run.")


def _code_keys(config: dict[str, Any]) -> Iterator[str]:
    """Yield the keys that name code in a configuration and its nested parts. The menu applies the same rule."""
    for key, value in config.items():
        # Some versions of transformers wrote `_attn_implementation_autoset: true`, which does not name code.
        is_attention = key.startswith("_attn_implementation") and not isinstance(value, bool)
        if is_attention or key in ("auto_map", "custom_generate"):
            yield key
        elif isinstance(value, dict):
            yield from _code_keys(value)


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LoadFailed(f"There is no config.json in {folder.name}, so it is not the folder of a model.") from None
    except (OSError, ValueError) as error:
        raise LoadFailed(f"The config.json of {folder.name} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise LoadFailed(f"The config.json of {folder.name} does not describe a model.")
    return config


def _find_folder(spec: ModelSpec, root: Path, on_progress: Callable[[float], None]) -> Path:
    if spec.source == "hub":
        return download(spec.location, lambda progress: on_progress(progress * 0.6))
    if spec.source not in ("bundled", "folder"):
        raise LoadFailed(f"The model source {spec.source!r} does not exist.")
    folder = root / spec.location
    if not folder.is_dir():
        raise LoadFailed(f"There is no folder {spec.location}.")
    return folder


def _load_pretrained(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    has_safetensors = any(folder.glob("*.safetensors"))
    if not has_safetensors and not any(folder.glob("pytorch_model*.bin")):
        raise LoadFailed(f"There are no weights in {folder.name}: neither .safetensors nor pytorch_model.bin.")
    try:
        result: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=has_safetensors,
            weights_only=True,
            output_loading_info=True,
        )
    except (ValueError, KeyError) as error:
        raise LoadFailed(f"The model cannot be read: {str(error).splitlines()[0]}") from error
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        # The unpickler refuses every Python name that tensors do not need.
        problem = "holds more than weights, which is never run" if "GLOBAL" in str(error) else "is damaged"
        raise LoadFailed(f"A file of weights in {folder.name} {problem}.") from error
    model: PreTrainedModel
    model, info = result
    if info["missing_keys"]:
        raise LoadFailed(f"The weights in {folder.name} are incomplete: {len(info['missing_keys'])} parts are missing.")
    return model
