"""Load: folders that load, folders that are refused, and the reason of each refusal."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from generator.engine.loading.load import choose_window, load_model, refuse_code
from generator.engine.loading.precision import PrecisionChoice, PrecisionError
from generator.engine.networks.runner import BatchItem, LoadFailed, LoadOptions
from generator.engine.tokens.window import MIN_WINDOW
from generator.wire.messages import ModelSpec
from tests.generator.engine.engine_loop import SteppedEngine
from tests.generator.engine.engine_process import a_set
from tests.generator.engine.tiny_models import copy_of, tiny_model, tiny_runner, tiny_tokenizer


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("root") / "tiny"
    tiny_model("gpt2").save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "tiny"))


def load(folder: Path, window: int | None = None, **options: str) -> object:
    progress: list[float] = []
    spec = ModelSpec("folder", folder.name, window)
    options = {"precision": "fp32"} | options
    runner = load_model(spec, LoadOptions(folder.parent, threads=1, **options), progress.append)  # type: ignore[arg-type]
    assert progress == sorted(progress)
    assert 0 < progress[-1] <= 1
    return runner


def logits_of(runner: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    items = [BatchItem(0, [5, 70, 80, 90], 0, True)]
    return runner.forward(items, lambda: False)[0]  # type: ignore[attr-defined, no-any-return]


def test_a_loaded_folder_computes_what_the_saved_model_computes(folder: Path) -> None:
    runner = load(folder)
    assert (runner.window, runner.precision) == (128, "fp32")  # type: ignore[attr-defined]
    assert np.allclose(logits_of(runner), logits_of(tiny_runner("gpt2")), atol=1e-5)


def test_old_bin_weights_load_as_weights_only(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(tiny_model("gpt2").state_dict(), folder / "pytorch_model.bin")
    (folder / "optimizer.pt").write_bytes(b"leftover")
    assert np.allclose(logits_of(load(folder)), logits_of(tiny_runner("gpt2")), atol=1e-5)


def test_a_chosen_precision_is_kept_until_the_weights_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_model("int8 gpt2").save_pretrained(folder)
    chosen = PrecisionChoice("int8-a16", PrecisionError(0.004, 0.98))
    measured: list[object] = []

    def choose(exact: object, rounded: object, passage: object) -> PrecisionChoice:
        measured.append(passage)
        return chosen

    monkeypatch.setattr("generator.engine.loading.choose_network.choose_precision", choose)
    description = "int8-a16 (KL 0.0040, same best token 98.0%)"
    for _ in range(2):
        assert load(folder, precision="auto").precision == description  # type: ignore[attr-defined]
    assert len(measured) == 1
    torch.save({}, folder / "other.bin")
    load(folder, precision="auto")
    assert len(measured) == 2
    (folder.parent / ".models" / "precision.json").write_text("{")
    load(folder, precision="auto")
    assert len(measured) == 3


class Malicious:
    """An object whose unpickling calls a function."""

    def __init__(self, *run: object) -> None:
        self._run = run

    def __reduce__(self) -> tuple[object, ...]:
        return self._run[0], self._run[1:]


def as_archive(payload: object, path: Path) -> None:
    torch.save(payload, path)


def as_old_file(payload: object, path: Path) -> None:
    """The format before 2020: several pickles in a row instead of an archive."""
    torch.save(payload, path, _use_new_zipfile_serialization=False)


def as_plain_pickle(payload: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(payload, protocol=2))


@pytest.mark.parametrize("write", [as_archive, as_old_file, as_plain_pickle])
@pytest.mark.parametrize(
    "payload",
    [
        Malicious(Path.touch, Path("executed")),
        Malicious(exec, "open('executed', 'w')"),
        Malicious(os.system, "> executed"),
    ],
    ids=["touch", "exec", "system"],
)
def test_bin_weights_that_would_run_code_do_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch, payload: object, write: Callable[[object, Path], None]
) -> None:
    monkeypatch.chdir(folder)
    (folder / "model.safetensors").unlink()
    write({"transformer.wte.weight": payload}, folder / "pytorch_model.bin")
    with pytest.raises(LoadFailed, match="holds more than weights, which is never run"):
        load(folder)
    assert not (folder / "executed").exists()


def test_a_damaged_file_of_weights_has_a_reason(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"not weights at all")
    with pytest.raises(LoadFailed, match="damaged"):
        load(folder)


def test_a_fine_tune_of_2021_loads(folder: Path) -> None:
    """Such a folder holds old weights with extra buffers and a second name for the head, and files of the training."""
    (folder / "model.safetensors").unlink()
    state = dict(tiny_model("gpt2").state_dict())
    for layer in range(2):
        state[f"transformer.h.{layer}.attn.bias"] = torch.ones(1, 1, 128, 128, dtype=torch.uint8).tril()
        state[f"transformer.h.{layer}.attn.mmeasured_bias"] = torch.tensor(-1e4)
    state["lm_head.weight"] = state["transformer.wte.weight"]
    as_old_file(state, folder / "pytorch_model.bin")
    config = json.loads((folder / "config.json").read_text())
    for name in ("dtype", "transformers_version"):
        config.pop(name, None)
    (folder / "config.json").write_text(json.dumps(config | {"gradient_checkpointing": False, "n_ctx": 128}))
    for name in ("optimizer.pt", "training_args.bin", "scheduler.pt", "rng_state.pth"):
        as_plain_pickle(Malicious(exec, "raise SystemExit"), folder / name)
    shutil.copytree(folder, folder / "checkpoint-500")
    assert np.allclose(logits_of(load(folder)), logits_of(tiny_runner("gpt2")), atol=1e-5)


def test_bf16_is_close_to_fp32(folder: Path) -> None:
    runner = load(folder, precision="bf16")
    assert runner.precision == "bf16"  # type: ignore[attr-defined]
    assert np.abs(logits_of(runner) - logits_of(tiny_runner("gpt2"))).max() < 0.5


@pytest.mark.parametrize("is_nested", [False, True])
@pytest.mark.parametrize(
    "key", ["auto_map", "custom_generate", "_attn_implementation", "_attn_implementation_internal"]
)
def test_a_config_that_asks_for_code_is_refused(folder: Path, key: str, is_nested: bool) -> None:
    config = json.loads((folder / "config.json").read_text())
    asking = {key: {"AutoModelForCausalLM": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config | ({"text_config": asking} if is_nested else asking)))
    with pytest.raises(LoadFailed, match=key):
        load(folder)


def test_a_flag_that_does_not_name_code_is_accepted(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_attn_implementation_autoset": True}))
    refuse_code(folder)


def damage(**files: str | None) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        for name, content in files.items():
            path = folder / name.replace("__", ".")
            path.unlink() if content is None else path.write_text(content)

    return apply


@pytest.mark.parametrize(
    ("break_folder", "sentence"),
    [
        (damage(config__json=None), "no config.json"),
        (damage(config__json="{"), "cannot be read"),
        (damage(config__json="[]"), "does not describe"),
        (damage(config__json='{"model_type": "unheard-of"}'), "cannot be read"),
        (damage(model__safetensors=None), "no weights"),
    ],
)
def test_a_damaged_folder_has_a_reason(folder: Path, break_folder: Callable[[Path], None], sentence: str) -> None:
    break_folder(folder)
    with pytest.raises(LoadFailed, match=sentence):
        load(folder)


def test_incomplete_weights_are_refused(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    state = {k: v for k, v in tiny_model("gpt2").state_dict().items() if "h.1" not in k}
    torch.save(state, folder / "pytorch_model.bin")
    with pytest.raises(LoadFailed, match="incomplete"):
        load(folder)


def test_a_missing_folder_and_a_wrong_precision_have_a_reason(folder: Path) -> None:
    with pytest.raises(LoadFailed, match="no folder"):
        load(folder.parent / "elsewhere")
    with pytest.raises(LoadFailed, match="precision"):
        load(folder, precision="fp8")


def test_a_loaded_folder_writes(folder: Path) -> None:
    engine = SteppedEngine(load(folder, 32))  # type: ignore[arg-type]
    engine.run(a_set("the river", model=engine.model.spec, budget=60))
    assert len(engine.ids()) >= 57


@pytest.mark.parametrize(
    ("wanted", "positions", "sliding", "window"),
    [(None, 4096, None, 1024), (2048, 4096, None, 2048), (2048, 512, None, 512), (None, 4096, 256, 256)],
)
def test_the_window_is_the_smallest_limit(wanted: int | None, positions: int, sliding: int | None, window: int) -> None:
    model = copy_of(tiny_model("llama"))
    model.config.max_position_embeddings, model.config.sliding_window = positions, sliding
    assert choose_window(ModelSpec("folder", "m", wanted), model) == window


def test_a_model_with_a_tiny_window_is_refused() -> None:
    model = copy_of(tiny_model("llama"))
    model.config.max_position_embeddings = MIN_WINDOW - 1
    with pytest.raises(LoadFailed, match=f"at least {MIN_WINDOW}"):
        choose_window(ModelSpec("folder", "m"), model)
