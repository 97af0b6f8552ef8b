"""The signed cookie, the key file and the table of client ids."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from flask import Response
from hypothesis import given
from hypothesis import strategies as st

from web.client_ids import ClientIds
from web.owner import Owners, signing_key


def cookie_value(owners: Owners, owner: str) -> str:
    response = Response()
    owners.remember(response, owner)
    return response.headers["Set-Cookie"].partition(";")[0].partition("=")[2]


@given(st.text(max_size=80))
def test_made_up_cookies_name_nobody(value: str) -> None:
    owners = Owners(b"k" * 32, 5000, secure=False)
    assert owners.of({owners.cookie: value}) is None


def test_a_cookie_holds_only_with_its_key_and_port() -> None:
    owners = Owners(b"k" * 32, 5000, secure=False)
    owner = owners.new()
    value = cookie_value(owners, owner)
    assert owners.of({"storygen_5000": value}) == owner
    assert Owners(b"l" * 32, 5000, secure=False).of({"storygen_5000": value}) is None
    assert owners.of({"storygen_5001": value}) is None


@pytest.mark.parametrize("secure", [True, False])
def test_behind_https_the_cookie_stays_there(secure: bool) -> None:
    response = Response()
    Owners(b"k" * 32, 443, secure).remember(response, "o")
    assert ("; Secure" in response.headers["Set-Cookie"]) == secure


def test_the_key_is_made_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    key = signing_key(path)
    assert len(key) == 32
    assert signing_key(path) == key
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"half")
    assert len(signing_key(path)) == 32


def test_client_ids_belong_to_the_first_until_they_are_forgotten() -> None:
    clients = ClientIds(capacity=2)
    assert clients.claim("a", "one")
    assert clients.claim("b", "two")
    assert not clients.claim("b", "one")
    assert clients.claim("a", "one")
    assert clients.claim("c", "one")
    assert not clients.claim("a", "two"), "b was used longer ago and gave way"
    assert clients.claim("b", "one")
