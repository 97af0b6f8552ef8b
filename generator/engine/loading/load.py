"""Loading: from a `ModelSpec` to a model that runs.

Owns which files are trusted, the device and the precision. Knows nothing of sequences.
Nothing a model brings is ever executed: no remote code, safetensors first, `.bin` weights as weights only.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from collections.abc import Sequence as AnySequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from generator.engine.int8.open_network import open_int8
from generator.engine.loading.download import download
from generator.engine.loading.precision import (
    PASSAGE,
    MeasuredNetwork,
    PrecisionChoice,
    QuantizedNetwork,
    choose,
    choose_rounded,
)
from generator.engine.loading.precision_cache import PrecisionCache
from generator.engine.loading.pretrained_vocabulary import read_vocabulary
from generator.engine.networks.cuda_graph_network import CudaGraphNetwork
from generator.engine.networks.model_runner import ModelRunner, computes_alike, open_model
from generator.engine.networks.model_weights import read_family
from generator.engine.networks.network import Network
from generator.engine.networks.runner import LoadFailed, LoadOptions
from generator.engine.networks.torch_network import TorchNetwork
from generator.engine.process.log import log
from generator.engine.tokens.window import MIN_WINDOW
from generator.wire.messages import ModelSpec

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()

DEFAULT_WINDOW = 1024

_PRECISIONS = ("auto", "fp32", "bf16", "int8")
# How much of the passage precision is measured on.
_PASSAGE_TOKENS = 256
_MEMORY_FILE = ".models/precision.json"


def load_model(spec: ModelSpec, options: LoadOptions, report: Callable[[float], None]) -> ModelRunner:
    """The model, ready to run. `report` hears the progress from 0 to 1. Raises LoadFailed."""
    if options.precision not in _PRECISIONS:
        raise LoadFailed(f"There is no precision {options.precision!r}; there are {', '.join(_PRECISIONS)}.")
    if options.threads:
        torch.set_num_threads(options.threads)
    folder = _find_folder(spec, options.root, report)
    refuse_code(folder)
    # Rounded weights are made from exact ones, except by the general network, which computes in those it has.
    model = _read_weights(folder, torch.float32)
    report(0.8)
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    vocabulary = read_vocabulary(tokenizer, model)
    torch.nn.Module.to(model, torch.device(choose_device(options.device)))
    report(0.9)
    window = choose_window(spec, model)
    passage = [vocabulary.start_id, *vocabulary.tokenize(PASSAGE).ids][: min(_PASSAGE_TOKENS, window)]
    memory = PrecisionCache(options.root / _MEMORY_FILE, folder, model.device)
    network, precision = choose_network(model, window, passage, options.precision, memory)
    return ModelRunner(network, vocabulary, window, precision)


def choose_network(
    model: PreTrainedModel, window: int, passage: AnySequence[int], precision: str, memory: PrecisionCache
) -> tuple[Network, str]:
    """The family's own network where there is one that computes the same, else the general one; and what to say of
    its precision."""
    formats = _find_formats(model, window)
    if formats is None or (precision == "bf16" and formats.name != "bf16"):
        if precision == "bf16":
            torch.nn.Module.to(model, torch.bfloat16)
        return open_model(model, window), precision if precision == "bf16" else "fp32"
    general = open_model(model, window)
    if not _is_usable(formats.exact, general, model.get_output_embeddings().weight.shape[0], window):
        return general, "fp32"
    choice = PrecisionChoice("fp32") if precision == "fp32" else (memory.recall() if precision == "auto" else None)
    if choice is not None and choice.name == "fp32":
        return formats.exact, "fp32"
    rounded = formats.open_rounded()
    if rounded is None:
        return formats.exact, "fp32"
    # A folder may have come from a machine that could do more.
    if choice is not None and choice.name in rounded.formats:
        rounded.use(choice.name)
    elif precision == "auto":
        choice = choose(formats.exact, rounded, passage)
        memory.remember(choice)
    else:
        choice = choose_rounded(formats.exact, rounded, passage)
    return (formats.exact if choice.name == "fp32" else rounded), str(choice)


def _is_usable(own: Network, general: Network, vocabulary_size: int, window: int) -> bool:
    try:
        return computes_alike(own, general, vocabulary_size, window)
    except RuntimeError as error:
        # A GPU may capture no steps, or have no memory for them, and still compute them one by one.
        log(f"the general forward is used, since the model's own fails here: {error}")
        return False


@dataclass(frozen=True, slots=True)
class _Formats:
    """A family's own networks on a device: in fp32, and in formats of the kind `name` where those can be had."""

    exact: MeasuredNetwork
    name: str
    open_rounded: Callable[[], QuantizedNetwork | None]


def _find_formats(model: PreTrainedModel, window: int) -> _Formats | None:
    family = read_family(model, window)
    if family is None or model.device.type not in ("cpu", "cuda"):
        return None
    if model.device.type == "cpu":
        return _Formats(TorchNetwork(family), "int8", lambda: open_int8(family))
    return _Formats(CudaGraphNetwork(family), "bf16", lambda: CudaGraphNetwork(family.rounded_to(torch.bfloat16)))


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
    wanting = list(_names_of_code(_read_config(folder)))
    if wanting:
        raise LoadFailed(
            f"The model's config.json asks for code of its own ({', '.join(wanting)}), which is never run."
        )


def _names_of_code(config: dict[str, Any]) -> Iterator[str]:
    """Keys that name code, in a configuration and its parts; the menu goes by the same rule."""
    for key, value in config.items():
        # Some versions of transformers wrote `_attn_implementation_autoset: true`, which names nothing.
        is_attention = key.startswith("_attn_implementation") and not isinstance(value, bool)
        if is_attention or key in ("auto_map", "custom_generate"):
            yield key
        elif isinstance(value, dict):
            yield from _names_of_code(value)


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
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        # The unpickler refuses every name of Python's that tensors don't need.
        what = "holds more than weights, which is never run" if "GLOBAL" in str(error) else "is damaged"
        raise LoadFailed(f"A file of weights in {folder.name} {what}.") from error
    model: PreTrainedModel
    model, info = result
    if info["missing_keys"]:
        raise LoadFailed(f"The weights in {folder.name} are incomplete: {len(info['missing_keys'])} parts are missing.")
    return model
