"""State: one draft at one revision, with its settings, its run and its credit.

Owns the fields that the reducer folds, which of them are durable, and how many tokens an epoch may generate: holds,
leases and the tokens that no viewer has seen. Knows nothing of storage, sockets, engines or clocks. Offsets are UTF-16
units; text is in units form (`stories.text.utf16`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from stories.errors import PastEnd
from stories.limits import NO_VIEWER_SECONDS, UNSEEN_TOKENS
from stories.text.span_list import SpanList
from stories.text.update import USER, Update

LEASE_SECONDS = 1.0
IDLE_LEASE_SECONDS = 10.0  # a composition without an edit holds decoding no longer than this


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
    """Everything about a draft at one revision. Durable are revision, text, spans and the fields of `head`."""

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

    def length_before(self, over: Sequence[Update]) -> int:
        """The length of the text before the updates `over`, which lead to the present text."""
        return len(self.text) - sum(update.changes.new_length - update.changes.length for update in over)

    def place(self, at: int, over: Sequence[Update], assoc: int) -> int:
        """Map offset `at` of the text before `over` to the present text. Raises PastEnd.

        Where text was inserted at the place, `assoc` -1 stays before it and 1 goes behind it.
        """
        if at > self.length_before(over):
            raise PastEnd
        for update in over:
            at = update.changes.map_pos(at, assoc)
        return at

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

    def new_epoch(self, now: float) -> DraftState:
        """Make all engine output under way stale, and grant anew."""
        return replace(self, epoch=self.epoch + 1, made=0, granted=0, sent_base=self.base).grant(now)

    def grant(self, now: float) -> DraftState:
        """Set the number of tokens this epoch may generate in all: none beyond those made while decoding is held."""
        if not self.is_writing or self.run is None:
            return self if self.granted == 0 else replace(self, granted=0)
        allowed = 0
        if not self.is_held(now):
            allowed = max(0, UNSEEN_TOKENS - self.unseen_tokens)
            if self.run.limit is not None:
                allowed = min(allowed, self.run.limit)
        granted = self.made + allowed
        return self if granted == self.granted else replace(self, granted=granted)

    def see(self, revision: int) -> DraftState:
        """Note that a viewer has seen everything up to `revision`."""
        if not self.unseen or self.unseen[0][0] > revision:
            return self
        return replace(self, unseen=tuple(part for part in self.unseen if part[0] > revision))

    def hold(self, connection: str, now: float) -> DraftState:
        """Begin or renew the lease of a connection that is composing."""
        lease = self.leases.get(connection)
        if lease is None or now > lease.asked + LEASE_SECONDS:
            lease = Lease(now + LEASE_SECONDS, now, now)
        elif now < lease.since + IDLE_LEASE_SECONDS:
            lease = Lease(now + LEASE_SECONDS, lease.since, now)
        else:
            lease = replace(lease, asked=now)
        return self._with_lease(connection, lease)

    def extend_lease(self, connection: str, now: float) -> DraftState:
        """Note that a composing connection has edited at the end, so its composition is not idle."""
        if connection not in self.leases:
            return self
        return self._with_lease(connection, Lease(now + LEASE_SECONDS, now, now))

    def without_lease(self, connection: str) -> DraftState:
        """End the connection's lease, if it has one."""
        if connection not in self.leases:
            return self
        leases = {name: lease for name, lease in self.leases.items() if name != connection}
        return replace(self, leases=MappingProxyType(leases))

    def release_holds(self) -> DraftState:
        """End every hold and every lease."""
        return replace(self, held_until=0.0, leases=MappingProxyType({}))

    def _with_lease(self, connection: str, lease: Lease) -> DraftState:
        if self.leases.get(connection) == lease:
            return self
        return replace(self, leases=MappingProxyType({**self.leases, connection: lease}))

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
