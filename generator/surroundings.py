"""Surroundings: what a draft's session needs from outside itself, handed in by the desk.

Owns the rules that join a draft's settings with the model menu. Knows nothing of sockets or of the
engine's process: both are functions here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from generator.committer import Committer, RunBlocking
from generator.errors import SessionError
from generator.menu import Entry, Menu
from generator.messages import AlternativesReady, Command, Status
from generator.sampling_settings import InvalidSampling, SamplingSettings
from stories.draft import Settings
from stories.update import Update
from stories.utf16 import to_units

MAX_PREMISE_UNITS = 65_536

Publish = Callable[[str, str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`publish(draft, event, body)` reaches every connection that has the draft open, and never blocks.
    `reacted(since_edit, since_hold)` counts how long a model took to answer an edit, in seconds.
    `collect_seconds` says how long text of models gathers just now.
    `compute` runs a function that may take long, while others are served."""

    committer: Committer
    compute: RunBlocking
    menu: Menu
    publish: Publish
    send: Callable[[Command], None]
    engine_is_up: Callable[[], bool]
    model_status: Callable[[str], Status | None]
    expect: Callable[[str], Future[AlternativesReady]]
    stored_updates: Callable[[str, int, int, int], list[Update]]
    reacted: Callable[[float, float], None]
    collect_seconds: Callable[[], float]

    def entry(self, mode: str, name: str) -> Entry:
        """The menu's entry, if it can write. Raises SessionError."""
        entry = self.menu.find(mode, name)
        if entry is None:
            raise SessionError("unknown_model", f"there is no model {name!r} in the menu; choose another")
        if not entry.available:
            raise SessionError("model_unavailable", f"{name}: {entry.reason}")
        return entry

    def configured(self, mode: str, settings: Settings, changes: Mapping[str, Any]) -> Settings:
        """`settings` with a partial change merged in. Raises SessionError; then nothing changes."""
        if "model" in changes:
            settings = replace(settings, model=self.entry(mode, changes["model"]).name)
        if "sampling" in changes:
            settings = replace(settings, sampling=merged_sampling(settings.sampling, changes["sampling"]))
        if "premise" in changes:
            settings = replace(settings, premise=checked_premise(mode, changes["premise"]))
        return settings


def merged_sampling(sampling: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return SamplingSettings().merged(sampling).merged(changes).to_json()
    except InvalidSampling as error:
        raise SessionError("invalid", str(error)) from error


def checked_premise(mode: str, premise: str) -> str:
    if mode != "prompt":
        raise SessionError("invalid", "only a story that answers a writing prompt has a premise")
    premise = to_units(premise)
    if len(premise) > MAX_PREMISE_UNITS:
        raise SessionError("too_large", f"a premise holds at most {MAX_PREMISE_UNITS:,} characters")
    return premise
