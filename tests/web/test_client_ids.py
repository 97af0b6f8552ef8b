"""The table of client ids."""

from __future__ import annotations

from web.client_ids import ClientIds


def test_a_client_id_belongs_to_its_first_owner_until_it_is_evicted() -> None:
    clients = ClientIds(capacity=2)
    assert clients.claim("a", "one")
    assert clients.claim("b", "two")
    assert not clients.claim("b", "one")
    assert clients.claim("a", "one")
    assert clients.claim("c", "one")
    assert not clients.claim("a", "two"), "b was used longer ago and gave way"
    assert clients.claim("b", "one")
