"""Models from folders and from a hub: what loads, what is refused, and that each refusal is a sentence."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from generator.engine.hub import choose_files
from generator.engine.loading import load_model
from generator.engine.precision import Choice, Error
from generator.engine.runner import LoadFailed, LoadOptions, Row
from generator.messages import Failed, Load, ModelSpec, Status
from tests.generator.engine.engine_loop import SteppedEngine
from tests.generator.engine.engine_process import a_set, engine_process
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
    runner = load_model(spec, LoadOptions(folder.parent, threads=1, **options), reported.append)
    assert reported == sorted(reported)
    assert 0 < reported[-1] <= 1
    return runner


def logits_of(runner: object) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    rows = [Row(0, [5, 70, 80, 90], 0, True)]
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
    chosen = Choice("fp32", "int8", Error(0.004, 0.98))
    asked: list[object] = []

    def choose(network: object, passage: object) -> Choice:
        asked.append(passage)
        return chosen

    monkeypatch.setattr("generator.engine.loading.choose", choose)
    spoken = "fp32, int8 for many rows (KL 0.0040, same best token 98.0%)"
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
    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return Path.touch, (Path("executed"),)  # type: ignore[return-value]


def test_bin_weights_that_would_run_code_do_not(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    (folder / "model.safetensors").unlink()
    torch.save({"transformer.wte.weight": Malicious()}, folder / "pytorch_model.bin")
    with pytest.raises(Exception, match=r"(?i)weights|unpickl|unsupported"):
        load(folder)
    assert not (folder / "executed").exists()


def test_bf16_is_close_to_fp32(folder: Path) -> None:
    runner = load(folder, precision="bf16")
    assert runner.precision.startswith("bf16 (KL ")  # type: ignore[attr-defined]
    assert np.abs(logits_of(runner) - logits_of(tiny_runner("gpt2"))).max() < 0.5


@pytest.mark.parametrize(
    "key", ["auto_map", "custom_generate", "_attn_implementation", "_attn_implementation_internal"]
)
def test_a_config_that_asks_for_code_is_refused(folder: Path, key: str) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {key: {"AutoModelForCausalLM": "evil.Model"}}))
    with pytest.raises(LoadFailed, match=key):
        load(folder)


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


def test_an_unreachable_hub_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with engine_process() as engine:
        engine.send(Load(ModelSpec("hub", "gpt2")), a_set("Once", model=ModelSpec("hub", "gpt2"), budget=1))
        status = engine.until(lambda event: isinstance(event, Status) and event.state == "failed")
        assert isinstance(status, Status)
        assert "cannot be reached" in status.reason
        assert engine.until_kind(Failed).message == status.reason


def test_only_one_kind_of_weights_is_fetched() -> None:
    everything = ["config.json", "merges.txt", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "README.md"]
    everything += ["onnx/config.json", "optimizer.pt", "training_args.bin", "tokenizer.model"]
    assert sorted(choose_files(everything)) == ["config.json", "merges.txt", "model.safetensors", "tokenizer.model"]
    everything.remove("model.safetensors")
    assert "pytorch_model.bin" in choose_files(everything)
    assert "training_args.bin" not in choose_files(everything)
