"""Hub check: whether a model of the Hugging Face hub can be loaded, from its local cache or from the hub.

Owns the search of the local cache and the questions to the hub. A short-lived process (`hub_probe`) asks them, because
resolving a name can block a process for many seconds. Knows nothing of the menu. The engine downloads models.
"""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from generator.models.model_folder import Unusable, check

MODEL_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?", re.ASCII)
UNREACHABLE = "The model hub cannot be reached. Put the model's folder beside server.py."
ASKING = "The model hub is being asked for this model."

_CHECKOUT = Path(__file__).resolve().parents[2]
_ANSWER_VALID_SECONDS = 60.0
_PROBE_TIMEOUT_SECONDS = 20.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    """Why the hub does not provide a model (empty if it does), and the monotonic time of the answer."""

    reason: str
    received_at: float


class HubCheck:
    """The known answers about models of the hub.

    `reason` never blocks: a background process asks the hub, and its answer counts for a minute.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._answers: dict[str, _Answer] = {}
        self._queued: set[str] = set()
        self._in_progress: list[str] = []

    def reason(self, model_id: str) -> str:
        """Return why the model is unavailable, as a sentence, or an empty text if it is available.

        Before the first answer of the hub, return `ASKING`.
        """
        if self._is_cached(model_id):
            return ""
        answer = self._answers.get(model_id)
        if answer is None or time.monotonic() - answer.received_at > _ANSWER_VALID_SECONDS:
            self._ask(model_id)
        return answer.reason if answer else ASKING

    def _is_cached(self, model_id: str) -> bool:
        """Whether the local cache has a usable copy. A partial download is not one, so the hub decides then."""
        folder = _cache_folder(self._environ) / f"models--{model_id.replace('/', '--')}"
        try:
            revision = (folder / "refs" / "main").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return False
        snapshot = folder / "snapshots" / revision
        if not (snapshot / "config.json").is_file():
            return False
        try:
            check(snapshot, within=folder)
        except Unusable:
            return False
        return True

    def _ask(self, model_id: str) -> None:
        """Ask the hub in the background. Only one process runs at a time; later questions wait for the next one."""
        if model_id not in self._in_progress:
            self._queued.add(model_id)
        if self._queued and not self._in_progress:
            self._in_progress = sorted(self._queued)
            self._queued.clear()
            threading.Thread(target=self._probe, args=(self._in_progress,), name="hub-probe", daemon=True).start()

    def _probe(self, model_ids: list[str]) -> None:
        """Store the hub's answers for `model_ids`. A model without an answer counts as unreachable."""
        try:
            reasons = _run_probe(model_ids, self._environ)
        except OSError as error:
            log.warning("The model hub cannot be asked: %s", error)
            reasons = {}
        now = time.monotonic()
        self._answers.update({model_id: _Answer(reasons.get(model_id, UNREACHABLE), now) for model_id in model_ids})
        self._in_progress = []


def _run_probe(model_ids: list[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Run `hub_probe` and return its answers, none if it fails or takes too long. Raises OSError."""
    command = [sys.executable, "-m", "generator.models.hub_probe", *model_ids]
    process = subprocess.Popen(
        command, cwd=_CHECKOUT, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + _PROBE_TIMEOUT_SECONDS
    # Polling, because `wait` would block the whole event loop where eventlet has not patched subprocess.
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    if process.poll() is None:
        process.kill()
    printed, _ = process.communicate()
    try:
        reasons: dict[str, str] = json.loads(printed)
    except ValueError:
        log.warning("The process that asks the model hub gave no answer (exit status %s).", process.returncode)
        return {}
    return reasons


def _cache_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder in which huggingface_hub keeps its files."""
    if hub_cache := environ.get("HF_HUB_CACHE"):
        return Path(hub_cache).expanduser()
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(environ.get("HF_HOME") or f"{cache}/huggingface").expanduser() / "hub"
