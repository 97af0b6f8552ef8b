"""Hub: brings a model's files onto this machine, or says in a sentence why it cannot.

Owns which files are fetched and how far that is. Knows nothing of what they hold.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from tqdm.auto import tqdm  # type: ignore[import-untyped]

from generator.engine.runner import LoadFailed

_SUFFIXES = (".json", ".txt", ".model", ".jinja")


def download(model_id: str, report: Callable[[float], None]) -> Path:
    """The folder that holds the model's files, from the cache where they are complete. Raises LoadFailed."""
    try:
        files = choose_files(HfApi().list_repo_files(model_id))
        return Path(snapshot_download(model_id, allow_patterns=files, tqdm_class=_reporting_bar(report)))
    except (HFValidationError, RepositoryNotFoundError, GatedRepoError) as error:
        raise LoadFailed(f"The hub has no model {model_id!r} that anybody may read.") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        return _cached(model_id, error)


def choose_files(names: list[str]) -> list[str]:
    """Configuration, tokenizer and one kind of weights; other formats and leftovers of training stay there."""
    top = [name for name in names if "/" not in name]
    weights = [name for name in top if name.endswith(".safetensors")]
    weights = weights or [name for name in top if name.startswith("pytorch_model") and name.endswith(".bin")]
    return [name for name in top if name.endswith(_SUFFIXES)] + weights


def _cached(model_id: str, error: Exception) -> Path:
    """The hub cannot be reached: what an earlier download left will do."""
    try:
        folder = Path(snapshot_download(model_id, local_files_only=True))
    except (LocalEntryNotFoundError, OSError):
        raise LoadFailed(
            f"The hub cannot be reached, and {model_id!r} was never downloaded here ({type(error).__name__})."
        ) from error
    return folder


def _reporting_bar(report: Callable[[float], None]) -> Any:
    """A progress bar that draws nothing and reports the share of bytes that are here."""

    class ReportingBar(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            self._counts_bytes = options.get("unit") == "B"
            options.pop("name", None)
            super().__init__(*args, **{**options, "gui": False, "disable": True})
            # A disabled bar keeps no total of its own.
            self.total, self.n = options.get("total"), options.get("initial", 0)

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if self._counts_bytes and self.total:
                report(min(1.0, self.n / self.total))

    return ReportingBar
