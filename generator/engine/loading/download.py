"""Hub: brings a model's files onto this machine, or says in a sentence why it cannot.

Owns which files are fetched, how far that is, and going on where an earlier download broke off. Knows nothing of what
the files hold.
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


def download(model_id: str, report: Callable[[float], None]) -> Path:
    """The folder that holds the model's files, from the cache where they are complete. Raises LoadFailed."""
    try:
        sizes = {file.path: file.size for file in HfApi().list_repo_tree(model_id) if isinstance(file, RepoFile)}
        files = choose_files(list(sizes))
        large = [name for name in files if not name.endswith(_SUFFIXES)]
        progress = _Progress(sum(sizes[name] for name in large), report)
        for name in large:
            _fetch(model_id, name, progress)
        # The small ones, and the cache's own bookkeeping: what is there already is not fetched again.
        return Path(snapshot_download(model_id, allow_patterns=files, tqdm_class=_bar(lambda count: None)))
    except (HFValidationError, RepositoryNotFoundError, GatedRepoError) as error:
        raise LoadFailed(f"The hub has no model {model_id!r} that anybody may read.") from error
    # Whatever breaks a line on the way is one of the client's own errors, which it does not name.
    except Exception as error:  # noqa: BLE001
        return _cached(model_id, error)


def choose_files(names: list[str]) -> list[str]:
    """Configuration, tokenizer and one kind of weights; other formats and leftovers of training stay there."""
    top = [name for name in names if "/" not in name]
    weights = [name for name in top if name.endswith(".safetensors")]
    weights = weights or [name for name in top if name.startswith("pytorch_model") and name.endswith(".bin")]
    return [name for name in top if name.endswith(_SUFFIXES)] + weights


class _Progress:
    """How much of all weights is here, in bytes."""

    def __init__(self, total: int, report: Callable[[float], None]) -> None:
        self._total, self._report = total, report
        self._here = 0

    def add(self, count: int) -> None:
        self._here += count
        self._report(min(1.0, max(0, self._here) / max(1, self._total)))


def _fetch(model_id: str, name: str, progress: _Progress) -> None:
    """A large file, put where `snapshot_download` looks for it. That would begin anew what once broke off."""
    url, headers = hf_hub_url(model_id, name), build_hf_headers()
    found = get_hf_file_metadata(url, headers=headers)
    if found.etag is None or found.size is None:
        return
    if found.location != url:
        headers.pop("authorization", None)  # For the hub, not for where it keeps its files.
    folder = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model_id, repo_type="model") / "blobs"
    folder.mkdir(parents=True, exist_ok=True)
    whole, part = folder / found.etag, folder / f"{found.etag}.part"
    with WeakFileLock(folder / f"{found.etag}.lock"):
        if whole.exists():
            progress.add(found.size)
            return
        with open(part, "ab") as file:
            if file.tell() > found.size:
                file.truncate(0)
            begun = file.seek(0, os.SEEK_END)
            progress.add(begun)
            http_get(
                *(found.location, file),
                resume_size=begun,
                headers=headers,
                expected_size=found.size,
                tqdm_class=_bar(progress.add),
            )
        os.replace(part, whole)


def _cached(model_id: str, error: Exception) -> Path:
    """The hub or the disk fails: what an earlier download left will do, where it is whole."""
    wanted = [f"*{suffix}" for suffix in (*_SUFFIXES, ".safetensors")]
    try:
        folder = Path(snapshot_download(model_id, local_files_only=True, allow_patterns=wanted, ignore_patterns="*/*"))
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError):
        raise LoadFailed(_reason(model_id, error)) from error
    return folder


def _reason(model_id: str, error: Exception) -> str:
    """What is wrong and what to do, in a sentence."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        return (
            f"The disk is full: there is no room for {model_id!r} in {constants.HF_HUB_CACHE}. Make room there, or set"
            " HF_HOME to a folder on another disk and start again; the download goes on where it broke off."
        )
    if number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{model_id!r} cannot be kept in {constants.HF_HUB_CACHE}: {os.strerror(number)}. Set HF_HOME to a folder"
            " that may be written and start again."
        )
    return f"The hub cannot be reached, and {model_id!r} was never downloaded whole ({type(error).__name__})."


def _bar(add: Callable[[int], None]) -> Any:
    """A progress bar that draws nothing and hands on how many bytes came."""

    class HandingBar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            options.pop("name", None)
            super().__init__(*args, **{**options, "gui": False, "disable": True})
            # A disabled bar keeps no total of its own, but its users add to it.
            self.total, self.n = options.get("total"), options.get("initial", 0)

        def update(self, n: float | None = 1) -> None:
            add(int(n or 0))

    return HandingBar
