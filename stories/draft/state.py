"""State: one draft at one revision, with its settings and its run.

Owns the fields that the reducer folds, and which of them are durable. Knows nothing of storage, sockets, engines or
clocks. Offsets are UTF-16 units; text is in units form (`stories.text.utf16`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from stories.limits import NO_VIEWER_SECONDS
from stories.text.span_list import SpanList
from stories.text.update import USER


@dataclass(frozen=True, slots=True)
class DraftSettings:
    """`model` is a menu name; `sampling` is opaque here; `premise` is None in continue mode."""

    model: str
    sampling: Mapping[str, Any]
    premise: str | None

    def to_json(self) -> dict[str, Any]:
        """Return the settings as pages and the store have them."""
        return {"model": self.model, "sampling": dict(self.sampling), "premise": self.premise}


@dataclass(frozen=True, slots=True)
class Run:
    """The intent to write. `limit` is the number of tokens still to come (None: without end), `tokens` those written.

    `seed` applies where the settings have none.
    """

    limit: int | None
    tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A composing connection holds decoding until `expires`.

    `since` is its last edit or the start of the composition; `asked` is when it last asked for the lease.
    """

    expires: float
    since: float
    asked: float


@dataclass(frozen=True, slots=True)
class DraftState:
    """Everything about a draft at one revision. `head`, text and spans are durable; the rest is not."""

    draft: str
    revision: int
    text: str
    spans: SpanList
    settings: DraftSettings
    authors: frozenset[str] = frozenset({USER})
    epoch: int = 0
    attempt: int = 0
    base: int = 0
    run_start: int = 0
    run: Run | None = None

    dormant: bool = False  # loaded with a run that waits until a page opens the draft
    outcome: str = ""  # why the last run stopped: limit, no_viewer, ended, failed, too_large
    reason: str = ""  # the sentence that goes with a failure
    sent_base: int = 0  # where the context that was sent for this epoch begins
    made: int = 0  # tokens written in this epoch
    granted: int = 0  # tokens this epoch may write in all
    held_until: float = 0.0
    leases: Mapping[str, Lease] = field(default_factory=lambda: MappingProxyType({}))
    viewers: frozenset[str] = frozenset()
    alone_since: float = 0.0
    unseen: tuple[tuple[int, int], ...] = ()  # (revision, tokens) that no viewer has seen

    @property
    def is_writing(self) -> bool:
        """Whether a run is under way."""
        return self.run is not None and not self.dormant

    def is_held(self, now: float) -> bool:
        """Whether an edit or a composition holds decoding."""
        return now < self.held_until or any(now < lease.expires for lease in self.leases.values())

    @property
    def unseen_tokens(self) -> int:
        """The number of tokens that no viewer has seen."""
        return sum(tokens for _, tokens in self.unseen)

    def would_notice(self, connection: str, revision: int) -> bool:
        """Whether `Viewed(connection, revision)` would change anything."""
        is_news = bool(self.unseen) and self.unseen[0][0] <= revision
        return is_news or self.dormant or connection not in self.viewers

    def deadline(self, now: float) -> float | None:
        """Return when the next `Tick` is due: the end of a hold, a lease or the wait for a viewer."""
        if not self.is_writing:
            return None
        times = [self.held_until, *(lease.expires for lease in self.leases.values())]
        if not self.viewers:
            times.append(self.alone_since + NO_VIEWER_SECONDS)
        return min((time for time in times if time > now), default=None)

    def head(self) -> dict[str, Any]:
        """Return the durable fields besides revision, text and spans, as JSON data."""
        return {
            **self.settings.to_json(),
            "authors": sorted(self.authors),
            "epoch": self.epoch,
            "attempt": self.attempt,
            "base": self.base,
            "run_start": self.run_start,
            "run": asdict(self.run) if self.run else None,
        }


def restore(draft: str, revision: int, text: str, spans: SpanList, head: Mapping[str, Any]) -> DraftState:
    """Return the state of a stored draft. An interrupted run is dormant until a page opens the draft."""
    run = Run(**head["run"]) if head.get("run") else None
    return DraftState(
        draft=draft,
        revision=revision,
        text=text,
        spans=spans,
        settings=DraftSettings(head["model"], MappingProxyType(dict(head["sampling"])), head["premise"]),
        authors=frozenset(head["authors"]),
        epoch=head["epoch"],
        attempt=head["attempt"],
        base=head["base"],
        run_start=head["run_start"],
        run=run,
        dormant=run is not None,
    )


def new_head(settings: DraftSettings, spans: SpanList) -> dict[str, Any]:
    """Return the head of a draft that begins with a given text."""
    authors = frozenset({USER, *(author for _, author in spans.runs())})
    return DraftState("", 0, "", spans, settings, authors).head()
