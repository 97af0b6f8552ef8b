"""Download: fetches a model's files from the hub, or gives the reason why it cannot.

Owns the choice of files, the progress, and the continuation of an interrupted download. Knows nothing of the files'
contents.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from huggingface_hub.file_download import http_get, repo_folder_name
from huggingface_hub.hf_api import RepoFile
from huggingface_hub.utils import WeakFileLock, build_hf_headers  # type: ignore[attr-defined]
from tqdm.auto import tqdm  # type: ignore[import-untyped]

from generator.engine.networks.runner import LoadFailed

_SUFFIXES = (".json", ".txt", ".model", ".jinja")


def download(model_id: str, on_progress: Callable[[float], None]) -> Path:
    """Return the folder in the cache that holds the model's files, after fetching the missing ones.

    Raise LoadFailed if a file can be found neither on the hub nor in the cache.
    """
    try:
        sizes = {file.path: file.size for file in HfApi().list_repo_tree(model_id) if isinstance(file, RepoFile)}
        files = choose_files(list(sizes))
        large = [name for name in files if not name.endswith(_SUFFIXES)]
        progress = _Progress(sum(sizes[name] for name in large), on_progress)
        for name in large:
            _fetch(model_id, name, progress)
        # This fetches the small files and updates the cache's own records. Files in the cache are not fetched again.
        return Path(snapshot_download(model_id, allow_patterns=files, tqdm_class=_bar(lambda count: None)))
    except (HFValidationError, RepositoryNotFoundError, GatedRepoError) as error:
        raise LoadFailed(f"The hub has no public model {model_id!r}.") from error
    # A broken connection raises an error of the HTTP client, whose types huggingface_hub does not document.
    except Exception as error:  # noqa: BLE001
        return _cached(model_id, error)


def choose_files(names: list[str]) -> list[str]:
    """Return the configuration, the tokenizer and one kind of weights. Leave out other formats and training files."""
    top = [name for name in names if "/" not in name]
    weights = [name for name in top if name.endswith(".safetensors")]
    weights = weights or [name for name in top if name.startswith("pytorch_model") and name.endswith(".bin")]
    return [name for name in top if name.endswith(_SUFFIXES)] + weights


class _Progress:
    """The progress of a download, in bytes of weights."""

    def __init__(self, total: int, on_progress: Callable[[float], None]) -> None:
        self._total, self._on_progress = total, on_progress
        self._received = 0

    def add(self, count: int) -> None:
        self._received += count
        self._on_progress(min(1.0, max(0, self._received) / max(1, self._total)))


def _fetch(model_id: str, name: str, progress: _Progress) -> None:
    """Fetch a large file into the place where `snapshot_download` looks for it.

    `snapshot_download` itself would start an interrupted file from the beginning.
    """
    url, headers = hf_hub_url(model_id, name), build_hf_headers()
    found = get_hf_file_metadata(url, headers=headers)
    if found.etag is None or found.size is None:
        return
    if found.location != url:
        headers.pop("authorization", None)  # The token is for the hub, not for its file storage.
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model_id, repo_type="model") / "blobs"
    folder.mkdir(parents=True, exist_ok=True)
    complete, part = folder / found.etag, folder / f"{found.etag}.part"
    with WeakFileLock(folder / f"{found.etag}.lock"):
        if complete.exists():
            progress.add(found.size)
            return
        with open(part, "ab") as file:
            if file.tell() > found.size:
                file.truncate(0)
            start = file.seek(0, os.SEEK_END)
            progress.add(start)
            http_get(
                *(found.location, file),
                resume_size=start,
                headers=headers,
                expected_size=found.size,
                tqdm_class=_bar(progress.add),
            )
        os.replace(part, complete)


def _cached(model_id: str, error: Exception) -> Path:
    """Return the folder of an earlier complete download. If there is none, raise LoadFailed because of `error`."""
    wanted = [f"*{suffix}" for suffix in (*_SUFFIXES, ".safetensors")]
    try:
        folder = Path(snapshot_download(model_id, local_files_only=True, allow_patterns=wanted, ignore_patterns="*/*"))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError):
        raise LoadFailed(_reason(model_id, error)) from error
    return folder


def _reason(model_id: str, error: Exception) -> str:
    """Return a sentence about the problem and a sentence about its solution."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk is full: {model_id!r} does not fit into {constants.HF_HUB_CACHE}. Free some space there, or set"
            " HF_HOME to a folder on another disk, and start the program again. The download will continue."
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{model_id!r} cannot be kept in {constants.HF_HUB_CACHE}: {os.strerror(number)}. Set HF_HOME to a folder"
            " that you can write to, and start the program again."
        )
    return f"The hub cannot be reached, and {model_id!r} is not completely downloaded ({type(error).__name__})."


def _bar(add: Callable[[int], None]) -> Any:
    """Return a class of progress bars that draw nothing and pass the number of received bytes to `add`."""

    class SilentBar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **{**options, "gui": False, "disable": True})
            # A disabled bar has no total, but huggingface_hub adds to it.
            self.total, self.n = options.get("total"), options.get("initial", 0)

        def update(self, n: float | None = 1) -> None:
            add(int(n or 0))

    return SilentBar
