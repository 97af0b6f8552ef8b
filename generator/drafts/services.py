"""Surroundings: what a draft's session needs from outside itself, handed in by the desk.

Owns the rules that join a draft's settings with the model menu. Knows nothing of sockets or of the
engine's process: both are functions here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from typing import Any

from generator.drafts.group_commit import GroupCommit, RunBlocking
from generator.models.menu import Menu, MenuEntry
from generator.wire.messages import AlternativesReady, EngineCommand, Status
from generator.wire.sampling_params import InvalidSamplingParam, SamplingParams
from stories.draft.state import DraftSettings
from stories.errors import Refused
from stories.text.update import Update
from stories.text.utf16 import to_units

MAX_PREMISE_UNITS = 65_536

Publish = Callable[[str, str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`publish(draft, event, body)` reaches every connection that has the draft open, and never blocks.
    `reacted(since_edit, since_hold)` counts how long a model took to answer an edit, in seconds.
    `collect_seconds` says how long text of models gathers just now.
    `compute` runs a function that may take long, while others are served."""

    committer: GroupCommit
    compute: RunBlocking
    menu: Menu
    publish: Publish
    send: Callable[[EngineCommand], None]
    engine_is_up: Callable[[], bool]
    model_status: Callable[[str], Status | None]
    expect: Callable[[str], Future[AlternativesReady]]
    stored_updates: Callable[[str, int, int, int], list[Update]]
    reacted: Callable[[float, float], None]
    collect_seconds: Callable[[], float]

    def entry(self, mode: str, name: str) -> MenuEntry:
        """The menu's entry, if it can write. Raises Refused."""
        entry = self.menu.find(mode, name)
        if entry is None:
            raise Refused("unknown_model", f"there is no model {name!r} in the menu; choose another")
        if not entry.available:
            raise Refused("model_unavailable", f"{name}: {entry.reason}")
        return entry

    def configured(self, mode: str, settings: DraftSettings, changes: Mapping[str, Any]) -> DraftSettings:
        """`settings` with a partial change merged in. Raises Refused; then nothing changes."""
        if "model" in changes:
            settings = replace(settings, model=self.entry(mode, changes["model"]).name)
        if "sampling" in changes:
            settings = replace(settings, sampling=merged_sampling(settings.sampling, changes["sampling"]))
        if "premise" in changes:
            settings = replace(settings, premise=checked_premise(mode, changes["premise"]))
        return settings


def merged_sampling(sampling: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return SamplingParams().merged(sampling).merged(changes).to_json()
    except InvalidSamplingParam as error:
        raise Refused("invalid", str(error)) from error


def checked_premise(mode: str, premise: str) -> str:
    if mode != "prompt":
        raise Refused("invalid", "only a story that answers a writing prompt has a premise")
    premise = to_units(premise)
    if len(premise) > MAX_PREMISE_UNITS:
        raise Refused("too_large", f"a premise holds at most {MAX_PREMISE_UNITS:,} characters")
    return premise
