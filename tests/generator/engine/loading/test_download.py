"""Download: the files that are fetched from a hub on loopback, the progress, and interrupted downloads."""

from __future__ import annotations

import errno
import hashlib
import socket
from pathlib import Path

import pytest
from huggingface_hub import constants

from generator.engine.loading.download import choose_files, download
from generator.engine.networks.runner import LoadFailed
from generator.wire.messages import Failed, ModelSpec, Status
from tests.generator.engine.engine_process import EngineProcess, a_set, engine_process
from tests.generator.engine.loading.fake_hub import MODEL_ID, fake_hub
from tests.generator.engine.tiny_models import tiny_model, tiny_tokenizer

SPEC = ModelSpec("hub", MODEL_ID)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    tiny_model("gpt2").save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    (folder / "optimizer.pt").write_bytes(b"leftover")
    return folder


def use_hub(monkeypatch: pytest.MonkeyPatch, endpoint: str, home: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for name in ("HF_HUB_CACHE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def use_hub_in_this_process(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: Path) -> None:
    """Do the same for this process, which has read its environment already."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))


def write(engine: EngineProcess) -> list[float]:
    """Let the model of the hub write. Return the progress of its load."""
    engine.send(a_set("the river", model=SPEC, budget=5))
    last = engine.until(lambda event: isinstance(event, Status) and event.state != "loading")
    assert isinstance(last, Status)
    assert (last.state, last.reason) == ("ready", "")
    engine.until(lambda event: event.kind == "chunk")
    return [event.progress for event in engine.seen if isinstance(event, Status)]


def test_an_interrupted_download_continues(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    # A process that was killed during the download leaves a part of the weights.
    blobs = tmp_path / "hub" / "models--someone--tiny" / "blobs"
    blobs.mkdir(parents=True)
    begun = len(weights) // 3
    (blobs / f"{hashlib.sha1(weights).hexdigest()}.part").write_bytes(weights[:begun])
    with fake_hub(folder, breaks=1) as hub:
        use_hub(monkeypatch, hub.endpoint, tmp_path)
        with engine_process() as engine:
            progress = write(engine)
    # A later process needs no hub.
    with engine_process() as engine:
        write(engine)
    assert progress == sorted(progress)
    assert any(0 < step < 0.6 for step in progress)
    served = [first for name, first in hub.served if name == "model.safetensors"]
    # The connection broke once. The second request continues behind the part that the first process left.
    assert len(served) == 2
    assert min(served) >= begun
    assert "optimizer.pt" not in {name for name, _ in hub.served}


def test_an_unreachable_hub_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    use_hub(monkeypatch, f"http://127.0.0.1:{port}", tmp_path)
    with engine_process() as engine:
        engine.send(a_set("Once", model=ModelSpec("hub", "gpt2"), budget=1))
        status = engine.until(lambda event: isinstance(event, Status) and event.state == "failed")
        assert isinstance(status, Status)
        assert "cannot be reached" in status.reason
        assert engine.until_kind(Failed).message == status.reason


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_has_another_reason_than_an_unreachable_hub(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    blobs = tmp_path / "models--someone--tiny" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha1(weights).hexdigest()}.part").symlink_to("/dev/full")
    with fake_hub(folder) as hub:
        use_hub_in_this_process(monkeypatch, hub.endpoint, tmp_path)
        with pytest.raises(LoadFailed) as failed:
            download(MODEL_ID, lambda progress: None)
    assert "The disk is full" in str(failed.value)
    assert str(tmp_path) in str(failed.value)
    assert "HF_HOME" in str(failed.value)


def test_a_folder_without_write_permission_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_hub(folder) as hub:
        use_hub_in_this_process(monkeypatch, hub.endpoint, tmp_path)

        def refuse(self: Path, **options: object) -> None:
            raise PermissionError(errno.EACCES, "refused", str(self))

        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(LoadFailed, match=r"cannot be kept in .*: Permission denied"):
            download(MODEL_ID, lambda progress: None)


def test_one_kind_of_weights_is_chosen_and_no_training_files() -> None:
    names = ["config.json", "merges.txt", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "README.md"]
    names += ["onnx/config.json", "optimizer.pt", "training_args.bin", "tokenizer.model"]
    assert sorted(choose_files(names)) == ["config.json", "merges.txt", "model.safetensors", "tokenizer.model"]
    names.remove("model.safetensors")
    assert "pytorch_model.bin" in choose_files(names)
    assert "training_args.bin" not in choose_files(names)
