"""The model hub: which of its models are on this machine already, and which it would hand over if asked.

Owns the look into the local cache and the questions to the hub, which a short process asks: a name that cannot be
resolved may keep a process waiting for many seconds. Knows nothing of the menu. Downloads are the engine's.
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
UNREACHABLE = "The model hub cannot be reached; put the model's folder beside server.py."
ASKING = "The model hub is being asked for it."

_CHECKOUT = Path(__file__).resolve().parents[2]
_KEPT_SECONDS = 60.0
_PROBE_SECONDS = 20.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Answer:
    reason: str
    at: float


class HubCheck:
    """`reason` never waits: what is not known yet is asked for in the background, and kept for a minute."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._answers: dict[str, _Answer] = {}
        self._wanted: set[str] = set()
        self._asked_now: list[str] = []

    def reason(self, model_id: str) -> str:
        """Why the model cannot be had, as a sentence; empty if it can."""
        if (cached := self._cached(model_id)) is not None:
            return cached
        answer = self._answers.get(model_id)
        if answer is None or time.monotonic() - answer.at > _KEPT_SECONDS:
            self._ask(model_id)
        return answer.reason if answer else ASKING

    def _cached(self, model_id: str) -> str | None:
        """The reason against the copy in the local cache, or None where there is no whole copy."""
        folder = _cache_folder(self._environ) / f"models--{model_id.replace('/', '--')}"
        try:
            revision = (folder / "refs" / "main").read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        snapshot = folder / "snapshots" / revision
        if not (snapshot / "config.json").is_file():
            return None
        try:
            check(snapshot, within=folder)
        except Unusable:
            return None  # perhaps only a part of it was fetched, so the hub has the last word
        return ""

    def _ask(self, model_id: str) -> None:
        """One process at a time: what comes up while one asks is for the next."""
        if model_id not in self._asked_now:
            self._wanted.add(model_id)
        if self._wanted and not self._asked_now:
            self._asked_now = sorted(self._wanted)
            self._wanted.clear()
            threading.Thread(target=self._probe, args=(self._asked_now,), name="hub-probe", daemon=True).start()

    def _probe(self, model_ids: list[str]) -> None:
        try:
            reasons = _run_probe(model_ids, self._environ)
        except OSError as error:
            log.warning("the model hub cannot be asked: %s", error)
            reasons = {}
        now = time.monotonic()
        self._answers.update({model_id: _Answer(reasons.get(model_id, UNREACHABLE), now) for model_id in model_ids})
        self._asked_now = []


def _run_probe(model_ids: list[str], environ: Mapping[str, str]) -> dict[str, str]:
    command = [sys.executable, "-m", "generator.models.hub_probe", *model_ids]
    process = subprocess.Popen(
        command, cwd=_CHECKOUT, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    deadline = time.monotonic() + _PROBE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)  # polled, because waiting would stop everything where subprocess is not patched
    if process.poll() is None:
        process.kill()
    printed, _nothing = process.communicate()
    try:
        reasons: dict[str, str] = json.loads(printed)
    except ValueError:
        log.warning("asking the model hub gave no answer (exit status %s)", process.returncode)
        return {}
    return reasons


def _cache_folder(environ: Mapping[str, str]) -> Path:
    """Where huggingface_hub keeps its files."""
    if hub_cache := environ.get("HF_HUB_CACHE"):
        return Path(hub_cache).expanduser()
    cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(environ.get("HF_HOME") or f"{cache}/huggingface").expanduser() / "hub"
