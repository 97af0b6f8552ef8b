"""Loading: from a `ModelSpec` to a model that runs.

Owns which files are trusted, the device and the precision. Knows nothing of sequences.
Nothing a model brings is ever executed: no remote code, safetensors first, `.bin` weights as weights only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from generator.engine.hub import download
from generator.engine.model_runner import ModelRunner, computes_alike, open_model
from generator.engine.network import Network
from generator.engine.packed_network import pack_model
from generator.engine.pretrained_vocabulary import read_vocabulary
from generator.engine.runner import LoadFailed, LoadOptions
from generator.engine.window import MIN_WINDOW
from generator.messages import ModelSpec

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

DEFAULT_WINDOW = 1024

# `auto` is fp32 until precision is chosen by measuring.
_DTYPES = {"auto": torch.float32, "fp32": torch.float32, "bf16": torch.bfloat16}


def load_model(spec: ModelSpec, options: LoadOptions, report: Callable[[float], None]) -> ModelRunner:
    """The model, ready to run. `report` hears the progress from 0 to 1. Raises LoadFailed."""
    dtype = _DTYPES.get(options.precision)
    if dtype is None:
        raise LoadFailed(f"There is no precision {options.precision!r}; there are {', '.join(_DTYPES)}.")
    if options.threads:
        torch.set_num_threads(options.threads)
    folder = _find_folder(spec, options.root, report)
    refuse_code(folder)
    model = _read_weights(folder, dtype)
    report(0.8)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    vocabulary = read_vocabulary(tokenizer, model)
    torch.nn.Module.to(model, torch.device(choose_device(options.device)))
    report(0.9)
    window = choose_window(spec, model)
    network = choose_network(model, window, vocabulary.size)
    return ModelRunner(network, vocabulary, window, "bf16" if dtype is torch.bfloat16 else "fp32")


def choose_network(model: PreTrainedModel, window: int, vocabulary_size: int) -> Network:
    """The family's own network where there is one that computes the same, else the general one."""
    general = open_model(model, window)
    if model.device.type != "cpu" or model.dtype != torch.float32:
        return general
    packed = pack_model(model, window)
    if packed is None or not computes_alike(packed, general, vocabulary_size, window):
        return general
    return packed


def choose_device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "cuda" if torch.cuda.is_available() else "cpu"


def choose_window(spec: ModelSpec, model: PreTrainedModel) -> int:
    """How many tokens the model sees. Raises LoadFailed if it can see too few."""
    config = model.config.get_text_config()
    limits = [
        limit
        for limit in (getattr(config, "max_position_embeddings", None), getattr(config, "sliding_window", None))
        if isinstance(limit, int) and limit > 0
    ]
    window = min([spec.window or DEFAULT_WINDOW, *limits])
    if window < MIN_WINDOW:
        raise LoadFailed(f"The model sees {window} tokens only; at least {MIN_WINDOW} are needed.")
    return window


def refuse_code(folder: Path) -> None:
    """Raises LoadFailed if the config wants code of the model's own to run, or another attention."""
    config = _read_config(folder)
    wanting = [
        key for key in config if key in ("auto_map", "custom_generate") or key.startswith("_attn_implementation")
    ]
    if wanting:
        raise LoadFailed(
            f"The model's config.json asks for code of its own ({', '.join(wanting)}), which is never run."
        )


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise LoadFailed(f"There is no config.json in {folder.name}: it is not a model's folder.") from None
    except (OSError, ValueError) as error:
        raise LoadFailed(f"The config.json of {folder.name} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise LoadFailed(f"The config.json of {folder.name} does not describe a model.")
    return config


def _find_folder(spec: ModelSpec, root: Path, report: Callable[[float], None]) -> Path:
    if spec.source == "hub":
        return download(spec.location, lambda progress: report(progress * 0.6))
    if spec.source not in ("bundled", "folder"):
        raise LoadFailed(f"There is no source of models named {spec.source!r}.")
    folder = root / spec.location
    if not folder.is_dir():
        raise LoadFailed(f"There is no folder {spec.location}.")
    return folder


def _read_weights(folder: Path, dtype: torch.dtype) -> PreTrainedModel:
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
    model: PreTrainedModel
    model, info = result
    if info["missing_keys"]:
        raise LoadFailed(f"The weights in {folder.name} are incomplete: {len(info['missing_keys'])} parts are missing.")
    return model
