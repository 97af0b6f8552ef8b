"""Settings: the rules that a draft's settings obey.

Owns merging a partial change into settings, checked against the menu and the sampling parameters. Pure, except that it
reads the menu. Knows nothing of drafts in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from generator.models.menu import Menu
from generator.wire.sampling_params import SamplingParams
from stories.draft.state import DraftSettings
from stories.errors import Refused
from stories.limits import PREMISE_UNITS
from stories.text.utf16 import to_units


def merged_settings(menu: Menu, mode: str, settings: DraftSettings, changes: Mapping[str, Any]) -> DraftSettings:
    """Return `settings` with `changes` to `model`, `sampling` or `premise` merged in. Raises Refused."""
    if "model" in changes:
        settings = replace(settings, model=menu.usable(mode, changes["model"]).name)
    if "sampling" in changes:
        settings = replace(settings, sampling=merged_sampling(settings.sampling, changes["sampling"]))
    if "premise" in changes:
        settings = replace(settings, premise=checked_premise(mode, changes["premise"]))
    return settings


def merged_sampling(sampling: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return all sampling parameters as JSON data: the defaults, then `sampling`, then `changes`. Raises Refused."""
    return SamplingParams().merged(sampling).merged(changes).to_json()


def checked_premise(mode: str, premise: str) -> str:
    """Return the premise in units form. Raises Refused."""
    if mode != "prompt":
        raise Refused("invalid", "Only a story that answers a writing prompt has a premise.")
    premise = to_units(premise)
    if len(premise) > PREMISE_UNITS:
        raise Refused("too_large", f"A premise holds at most {PREMISE_UNITS:,} characters.")
    return premise
