"""The signed cookie and the key file."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from flask import Response
from hypothesis import given
from hypothesis import strategies as st

from tests.web.conftest import EdgeServer
from tests.web.raw_page import ask, cookie_of
from web.owner import Owners, signing_key


def cookie_value(owners: Owners, owner: str) -> str:
    response = Response()
    owners.remember(response, owner)
    return response.headers["Set-Cookie"].partition(";")[0].partition("=")[2]


@given(st.text(max_size=80))
def test_unsigned_cookies_name_no_owner(value: str) -> None:
    owners = Owners(b"k" * 32, 5000, secure=False)
    assert owners.of({owners.cookie: value}) is None


def test_a_cookie_is_valid_only_with_its_key_and_port() -> None:
    owners = Owners(b"k" * 32, 5000, secure=False)
    owner = owners.new()
    value = cookie_value(owners, owner)
    assert owners.of({"storygen_5000": value}) == owner
    assert Owners(b"l" * 32, 5000, secure=False).of({"storygen_5000": value}) is None
    assert owners.of({"storygen_5001": value}) is None


@pytest.mark.parametrize("secure", [True, False])
def test_the_cookie_is_secure_behind_https(secure: bool) -> None:
    response = Response()
    Owners(b"k" * 32, 443, secure).remember(response, "o")
    assert ("; Secure" in response.headers["Set-Cookie"]) == secure


def test_the_signing_key_is_created_once_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "secret.key"
    key = signing_key(path)
    assert len(key) == 32
    assert signing_key(path) == key
    if sys.platform != "win32":
        assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"half")
    assert len(signing_key(path)) == 32


@pytest.mark.app
def test_the_cookie_is_signed_and_hidden_from_scripts(edge: EdgeServer) -> None:
    cookie = ask(edge.port, "GET", "/livez").headers["Set-Cookie"]
    assert cookie.startswith(f"storygen_{edge.port}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    known = cookie.partition(";")[0]
    first, second = (ask(edge.port, "GET", "/api/stories", Cookie=known) for _ in range(2))
    assert first.json["owner"] == second.json["owner"]
    assert "Set-Cookie" not in first.headers
    assert ask(edge.port, "GET", "/api/stories", Cookie=cookie_of(edge.port)).json["owner"] != first.json["owner"]
