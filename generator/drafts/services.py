"""Services: what all live drafts share.

Owns nothing. `OpenDrafts` makes one and hands it to every live draft.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from generator.drafts.group_commit import GroupCommit, RunBlocking
from generator.engine_link.shared_engine import SharedEngine
from generator.models.menu import Menu

# (draft, event, body): sends to every page that has the draft open; never blocks
Publish = Callable[[str, str, dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class Services:
    """`compute` runs long pure work beside the event loop. `reacted(since_edit, since_hold)` counts reaction times.

    `gather_seconds` returns how long model text is gathered at present. All times are in seconds.
    """

    storage: GroupCommit
    engine: SharedEngine
    menu: Menu
    publish: Publish
    compute: RunBlocking
    reacted: Callable[[float, float], None]
    gather_seconds: Callable[[], float]
