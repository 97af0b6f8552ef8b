"""The table of client ids: the first owner keeps an id until the table is full of ids that were used later."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from web.client_ids import ClientIds

claims = st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["one", "two"])), max_size=40)


def test_a_client_id_belongs_to_its_first_owner_until_it_is_evicted() -> None:
    clients = ClientIds(capacity=2)
    assert clients.claim("a", "one")
    assert clients.claim("b", "two")
    assert not clients.claim("b", "one")
    assert clients.claim("a", "one")
    assert clients.claim("c", "one")
    assert not clients.claim("a", "two"), "b was used longest ago and was evicted"
    assert clients.claim("b", "one")


@given(claims=claims, capacity=st.integers(1, 5))
def test_the_id_unused_for_longest_is_evicted(claims: list[tuple[str, str]], capacity: int) -> None:
    clients = ClientIds(capacity)
    by_last_use: list[tuple[str, str]] = []
    for client, owner in claims:
        known = dict(by_last_use)
        belongs = known.get(client, owner) == owner
        assert clients.claim(client, owner) == belongs
        if belongs:
            by_last_use = [*(pair for pair in by_last_use if pair[0] != client), (client, owner)][-capacity:]


@given(owners=st.lists(st.sampled_from(["one", "two", "three"]), min_size=1, max_size=20))
def test_a_refused_claim_does_not_keep_an_id_in_the_table(owners: list[str]) -> None:
    clients = ClientIds(capacity=2)
    clients.claim("a", "first")
    clients.claim("b", "first")
    assert not any(clients.claim("a", owner) for owner in owners)
    clients.claim("c", "first")
    assert clients.claim("a", "another"), "a was evicted, although others claimed it after b"
