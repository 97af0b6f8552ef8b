"""Credit: how many tokens an epoch may generate.

Owns holds, leases and the tokens that no viewer has seen. Pure. Knows nothing of text and of how a run begins or ends.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from stories.draft.events import Hold
from stories.draft.state import DraftState, Lease
from stories.limits import UNSEEN_TOKENS

LEASE_SECONDS = 1.0
IDLE_LEASE_SECONDS = 10.0  # a composition without an edit holds decoding no longer than this


def new_epoch(state: DraftState, now: float) -> DraftState:
    """Make all engine output under way stale, and grant anew."""
    return grant(replace(state, epoch=state.epoch + 1, made=0, granted=0, sent_base=state.base), now)


def grant(state: DraftState, now: float) -> DraftState:
    """Set the number of tokens this epoch may generate in all: none beyond those made while decoding is held."""
    if not state.is_writing or state.run is None:
        return state if state.granted == 0 else replace(state, granted=0)
    allowed = 0
    if not state.is_held(now):
        allowed = max(0, UNSEEN_TOKENS - state.unseen_tokens)
        if state.run.limit is not None:
            allowed = min(allowed, state.run.limit)
    granted = state.made + allowed
    return state if granted == state.granted else replace(state, granted=granted)


def see(state: DraftState, revision: int) -> DraftState:
    """A viewer has seen everything up to `revision`."""
    if not state.unseen or state.unseen[0][0] > revision:
        return state
    return replace(state, unseen=tuple(part for part in state.unseen if part[0] > revision))


def hold(state: DraftState, event: Hold) -> DraftState:
    """Begin, renew or end the lease of a composing connection."""
    if not event.composing:
        return grant(without_lease(state, event.connection), event.now)
    now, lease = event.now, state.leases.get(event.connection)
    if lease is None or now > lease.asked + LEASE_SECONDS:
        lease = Lease(now + LEASE_SECONDS, now, now)
    elif now < lease.since + IDLE_LEASE_SECONDS:
        lease = Lease(now + LEASE_SECONDS, lease.since, now)
    else:
        lease = replace(lease, asked=now)
    return grant(_with_lease(state, event.connection, lease), now)


def extend_lease(state: DraftState, connection: str, now: float) -> DraftState:
    """A composing connection has edited at the end: its composition is not idle."""
    if connection not in state.leases:
        return state
    return _with_lease(state, connection, Lease(now + LEASE_SECONDS, now, now))


def without_lease(state: DraftState, connection: str) -> DraftState:
    """End the connection's lease, if it has one."""
    if connection not in state.leases:
        return state
    leases = {name: lease for name, lease in state.leases.items() if name != connection}
    return replace(state, leases=MappingProxyType(leases))


def release_holds(state: DraftState) -> DraftState:
    """End every hold and every lease."""
    return replace(state, held_until=0.0, leases=MappingProxyType({}))


def _with_lease(state: DraftState, connection: str, lease: Lease) -> DraftState:
    if state.leases.get(connection) == lease:
        return state
    return replace(state, leases=MappingProxyType({**state.leases, connection: lease}))
