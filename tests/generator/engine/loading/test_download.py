"""Models of a hub on loopback: what is fetched, how far that is, and going on after a broken line or a lost process."""

from __future__ import annotations

import errno
import hashlib
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest
from huggingface_hub import constants

from generator.engine.loading.download import choose_files, download
from generator.engine.networks.runner import LoadFailed
from generator.wire.messages import Failed, Load, ModelSpec, Status, Unload
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


def at_hub(monkeypatch: pytest.MonkeyPatch, endpoint: str, home: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    monkeypatch.setenv("HF_HOME", str(home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for name in ("HF_HUB_CACHE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def at_hub_here(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: Path) -> None:
    """The same for this process, which has read its environment long ago."""
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))


def loaded(engine: EngineProcess) -> list[float]:
    """Loads the model of the hub; returns the progress that was told."""
    engine.send(Load(SPEC))
    last = engine.until(lambda event: isinstance(event, Status) and event.state not in ("loading", "unloaded"))
    assert isinstance(last, Status)
    assert (last.state, last.reason) == ("ready", "")
    return [event.progress for event in engine.seen if isinstance(event, Status)]


def test_a_download_goes_on_where_it_broke_off(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    # What a process leaves that was ended while it fetched the weights.
    blobs = tmp_path / "hub" / "models--someone--tiny" / "blobs"
    blobs.mkdir(parents=True)
    begun = len(weights) // 3
    (blobs / f"{hashlib.sha1(weights).hexdigest()}.part").write_bytes(weights[:begun])
    with ExitStack() as stack:
        hub = stack.enter_context(fake_hub(folder, breaks=1))
        at_hub(monkeypatch, hub.endpoint, tmp_path)
        with engine_process() as engine:
            progress = loaded(engine)
            engine.send(Unload(SPEC))
            stack.close()  # From now on no hub is needed.
            engine.seen.clear()
            loaded(engine)
            engine.send(a_set("the river", model=SPEC, budget=5))
            engine.until(lambda event: event.kind == "chunk")
    assert progress == sorted(progress)
    assert any(0 < step < 0.6 for step in progress)
    served = [first for name, first in hub.served if name == "model.safetensors"]
    # The line broke once, and what came over it is kept as far as the client had it in hand.
    assert len(served) == 2
    assert min(served) >= begun
    assert "optimizer.pt" not in {name for name, _ in hub.served}


def test_an_unreachable_hub_has_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    at_hub(monkeypatch, f"http://127.0.0.1:{port}", tmp_path)
    with engine_process() as engine:
        engine.send(Load(ModelSpec("hub", "gpt2")), a_set("Once", model=ModelSpec("hub", "gpt2"), budget=1))
        status = engine.until(lambda event: isinstance(event, Status) and event.state == "failed")
        assert isinstance(status, Status)
        assert "cannot be reached" in status.reason
        assert engine.until_kind(Failed).message == status.reason


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_told_from_a_hub_that_is_not_there(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = (folder / "model.safetensors").read_bytes()
    blobs = tmp_path / "models--someone--tiny" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / f"{hashlib.sha1(weights).hexdigest()}.part").symlink_to("/dev/full")
    with fake_hub(folder) as hub:
        at_hub_here(monkeypatch, hub.endpoint, tmp_path)
        with pytest.raises(LoadFailed) as failed:
            download(MODEL_ID, lambda progress: None)
    assert "The disk is full" in str(failed.value)
    assert str(tmp_path) in str(failed.value)
    assert "HF_HOME" in str(failed.value)


def test_a_folder_that_may_not_be_written_is_named(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_hub(folder) as hub:
        at_hub_here(monkeypatch, hub.endpoint, tmp_path)

        def refuse(self: Path, **options: object) -> None:
            raise PermissionError(errno.EACCES, "refused", str(self))

        monkeypatch.setattr(Path, "mkdir", refuse)
        with pytest.raises(LoadFailed, match=r"cannot be kept in .*: Permission denied"):
            download(MODEL_ID, lambda progress: None)


def test_only_one_kind_of_weights_is_fetched() -> None:
    everything = ["config.json", "merges.txt", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "README.md"]
    everything += ["onnx/config.json", "optimizer.pt", "training_args.bin", "tokenizer.model"]
    assert sorted(choose_files(everything)) == ["config.json", "merges.txt", "model.safetensors", "tokenizer.model"]
    everything.remove("model.safetensors")
    assert "pytorch_model.bin" in choose_files(everything)
    assert "training_args.bin" not in choose_files(everything)
