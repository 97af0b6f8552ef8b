"""Models from folders and from a hub: what loads, what is refused, and that each refusal is a sentence."""

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

from generator.engine.loading.load import load_model, refuse_code
from generator.engine.loading.precision import PrecisionChoice, PrecisionError
from generator.engine.networks.runner import BatchItem, LoadFailed, LoadOptions
from generator.wire.messages import ModelSpec
from tests.generator.engine.engine_loop import SteppedEngine
from tests.generator.engine.engine_process import a_set
from tests.generator.engine.tiny_models import tiny_model, tiny_runner, tiny_tokenizer


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
    reported: list[float] = []
    spec = ModelSpec("folder", folder.name, window)
    options = {"precision": "fp32"} | options
    runner = load_model(spec, LoadOptions(folder.parent, threads=1, **options), reported.append)  # type: ignore[arg-type]
    assert reported == sorted(reported)
    assert 0 < reported[-1] <= 1
    return runner


def logits_of(runner: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    rows = [BatchItem(0, [5, 70, 80, 90], 0, True)]
    return runner.forward(rows, lambda: False)[0]  # type: ignore[attr-defined, no-any-return]


def test_a_folder_loads_and_computes_what_was_saved(folder: Path) -> None:
    runner = load(folder)
    assert (runner.window, runner.precision) == (128, "fp32")  # type: ignore[attr-defined]
    assert np.allclose(logits_of(runner), logits_of(tiny_runner("gpt2")), atol=1e-5)


def test_old_bin_weights_load_as_weights_only(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save(tiny_model("gpt2").state_dict(), folder / "pytorch_model.bin")
    (folder / "optimizer.pt").write_bytes(b"leftover")
    assert np.allclose(logits_of(load(folder)), logits_of(tiny_runner("gpt2")), atol=1e-5)


def test_a_chosen_precision_is_remembered_until_the_weights_change(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_model("int8 gpt2").save_pretrained(folder)
    chosen = PrecisionChoice("int8-a16", PrecisionError(0.004, 0.98))
    asked: list[object] = []

    def choose(exact: object, rounded: object, passage: object) -> PrecisionChoice:
        asked.append(passage)
        return chosen

    monkeypatch.setattr("generator.engine.loading.choose_network.choose_precision", choose)
    spoken = "int8-a16 (KL 0.0040, same best token 98.0%)"
    for _ in range(2):
        assert load(folder, precision="auto").precision == spoken  # type: ignore[attr-defined]
    assert len(asked) == 1
    torch.save({}, folder / "other.bin")
    load(folder, precision="auto")
    assert len(asked) == 2
    (folder.parent / ".models" / "precision.json").write_text("{")
    load(folder, precision="auto")
    assert len(asked) == 3


class Malicious:
    """Unpickling it runs what it says."""

    def __init__(self, *run: object) -> None:
        self._run = run

    def __reduce__(self) -> tuple[object, ...]:
        return self._run[0], self._run[1:]


def whole(payload: object, path: Path) -> None:
    torch.save(payload, path)


def as_old_file(payload: object, path: Path) -> None:
    """The format before 2020: pickles one after the other, no archive."""
    torch.save(payload, path, _use_new_zipfile_serialization=False)


def as_plain_pickle(payload: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(payload, protocol=2))


@pytest.mark.parametrize("write", [whole, as_old_file, as_plain_pickle])
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


def test_weights_that_are_no_file_of_torch_have_a_reason(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"not weights at all")
    with pytest.raises(LoadFailed, match="damaged"):
        load(folder)


def test_a_fine_tune_of_2021_loads(folder: Path) -> None:
    """As the scripts of that year left it: old weights with the buffers and the second name of the head that there
    were then, and what training left behind."""
    (folder / "model.safetensors").unlink()
    state = dict(tiny_model("gpt2").state_dict())
    for layer in range(2):
        state[f"transformer.h.{layer}.attn.bias"] = torch.ones(1, 1, 128, 128, dtype=torch.uint8).tril()
        state[f"transformer.h.{layer}.attn.masked_bias"] = torch.tensor(-1e4)
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


def test_a_flag_that_names_no_code_is_no_reason_to_refuse(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"_attn_implementation_autoset": True}))
    refuse_code(folder)


def breaking(**files: str | None) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        for name, content in files.items():
            path = folder / name.replace("__", ".")
            path.unlink() if content is None else path.write_text(content)

    return apply


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (breaking(config__json=None), "no config.json"),
        (breaking(config__json="{"), "cannot be read"),
        (breaking(config__json="[]"), "does not describe"),
        (breaking(config__json='{"model_type": "unheard-of"}'), "cannot be read"),
        (breaking(model__safetensors=None), "no weights"),
    ],
)
def test_a_damaged_folder_has_a_reason(folder: Path, damage: Callable[[Path], None], sentence: str) -> None:
    damage(folder)
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
