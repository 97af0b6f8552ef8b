"""Draft: one text with its settings and its run, at one revision.

Owns the state that the reducer folds and which part of it is durable. Knows nothing of storage, sockets,
engines or clocks. All offsets are UTF-16 units; all text is in units form (`stories.text.utf16`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from stories.text.span_list import SpanList
from stories.text.update import USER

NO_VIEWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class DraftSettings:
    """`model` is a menu name; `sampling` is opaque here; `premise` is None in continue mode."""

    model: str
    sampling: Mapping[str, Any]
    premise: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """The intent to write. `limit` tokens may still come (None: without end), `tokens` have come.

    `seed` is used where the settings have none.
    """

    limit: int | None
    tokens: int
    seed: int


@dataclass(frozen=True, slots=True)
class Lease:
    """A connection that is composing holds the run until `expires`.

    `since` is its last edit or the composition's start, `asked` when it last asked.
    """

    expires: float
    since: float
    asked: float


@dataclass(frozen=True, slots=True)
class DraftState:
    """Everything about a draft at one revision. What `head` returns is durable, with text and spans."""

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

    dormant: bool = False  # loaded with a run that waits for somebody to open the draft
    outcome: str = ""  # why the last run stopped: limit, no_viewer, ended, failed, too_large
    reason: str = ""  # the sentence that goes with a failure
    set_base: int = 0  # the base that this epoch's context was sent with
    made: int = 0  # tokens of this epoch
    granted: int = 0  # tokens this epoch may make in all
    held_until: float = 0.0
    leases: Mapping[str, Lease] = field(default_factory=lambda: MappingProxyType({}))
    viewers: frozenset[str] = frozenset()
    alone_since: float = 0.0
    unseen: tuple[tuple[int, int], ...] = ()  # (revision, tokens) not seen by any viewer

    @property
    def writes(self) -> bool:
        return self.run is not None and not self.dormant

    def is_held(self, now: float) -> bool:
        return now < self.held_until or any(now < lease.expires for lease in self.leases.values())

    @property
    def unseen_tokens(self) -> int:
        return sum(tokens for _, tokens in self.unseen)

    def would_notice(self, connection: str, revision: int) -> bool:
        """Whether anything follows from the connection's having seen `revision`."""
        is_news = bool(self.unseen) and self.unseen[0][0] <= revision
        return is_news or self.dormant or connection not in self.viewers

    def deadline(self, now: float) -> float | None:
        """When a `Tick` is due next, or None."""
        if not self.writes:
            return None
        times = [self.held_until, *(lease.expires for lease in self.leases.values())]
        if not self.viewers:
            times.append(self.alone_since + NO_VIEWER_SECONDS)
        return min((time for time in times if time > now), default=None)

    def head(self) -> dict[str, Any]:
        """What is durable besides revision, text and spans, as JSON data."""
        return {
            "model": self.settings.model,
            "sampling": dict(self.settings.sampling),
            "premise": self.settings.premise,
            "authors": sorted(self.authors),
            "epoch": self.epoch,
            "attempt": self.attempt,
            "base": self.base,
            "run_start": self.run_start,
            "run": asdict(self.run) if self.run else None,
        }


def restore(draft: str, revision: int, text: str, spans: SpanList, head: Mapping[str, Any]) -> DraftState:
    """The state a stored draft continues from. A run that was interrupted waits until somebody opens it."""
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
    """The head of a draft that begins with a given text."""
    authors = frozenset({USER, *(author for _, author in spans.runs())})
    return DraftState("", 0, "", spans, settings, authors).head()
