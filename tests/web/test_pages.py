"""The page and its files: the nonce, the build hash and caching."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flask import Flask, g
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from tests.web.conftest import EdgeServer
from tests.web.raw_page import ask
from web.owner import Owners
from web.pages import build_hash, pages

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["hash", "x"]), inner, max_size=2),
    max_leaves=6,
)


def site(root: Path, build: str) -> FlaskClient:
    """Return a client of the page's routes alone, with the given text of `build.json`."""
    for name in ("static", "templates"):
        (root / name).mkdir()
    (root / "templates" / "index.html").write_text("{{ nonce }} {{ build }}")
    (root / "static" / "build.json").write_text(build)
    for name in ("app.js", "config.js"):
        (root / "static" / name).write_text(name)
    (root / "static" / "favicon.svg").write_text("<svg/>")
    owners = Owners(b"k" * 32, 5000, secure=False)
    flask = Flask("test", root_path=str(root), static_folder=None)
    flask.register_blueprint(pages(root / "static", owners))

    @flask.before_request
    def identify() -> None:
        g.owner = "me"

    return flask.test_client()


@given(json_values)
def test_the_build_hash_is_a_text_whatever_the_file_holds(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    static = tmp_path_factory.mktemp("static")
    (static / "build.json").write_text(json.dumps(value))
    is_hash = isinstance(value, dict) and isinstance(value.get("hash"), str)
    assert build_hash(static) == (value["hash"] if is_hash and isinstance(value, dict) else "")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", None])
def test_a_missing_or_broken_build_file_means_no_hash(tmp_path: Path, data: bytes | None) -> None:
    if data is not None:
        (tmp_path / "build.json").write_bytes(data)
    assert build_hash(tmp_path) == ""


def test_files_without_a_build_are_never_cached(tmp_path: Path) -> None:
    client = site(tmp_path, "{}")
    for query in ("", "?v=", "?v=abc"):
        assert client.get(f"/static/app.js{query}", buffered=True).headers["Cache-Control"] == "no-cache"


def test_files_of_the_build_are_cached_for_a_year_except_the_config(tmp_path: Path) -> None:
    client = site(tmp_path, '{"hash": "abc"}')
    assert (
        client.get("/static/app.js?v=abc", buffered=True).headers["Cache-Control"]
        == "public, max-age=31536000, immutable"
    )
    for path in ("app.js", "app.js?v=abd", "app.js?v=", "config.js?v=abc"):
        assert client.get(f"/static/{path}", buffered=True).headers["Cache-Control"] == "no-cache", path


def test_the_page_is_not_stored_and_renews_the_cookie(tmp_path: Path) -> None:
    reply = site(tmp_path, '{"hash": "abc"}').get("/", buffered=True)
    nonce, build = reply.text.split()
    assert build == "abc"
    assert f"style-src 'self' 'nonce-{nonce}';" in reply.headers["Content-Security-Policy"]
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Set-Cookie"].startswith("storygen_5000=me.")


def test_the_favicon_is_the_drawing_in_static(tmp_path: Path) -> None:
    reply = site(tmp_path, "{}").get("/favicon.ico", buffered=True)
    assert (reply.data, reply.mimetype) == (b"<svg/>", "image/svg+xml")


@pytest.mark.app
def test_the_page_has_a_fresh_nonce_and_the_build_hash(edge: EdgeServer) -> None:
    first, second = ask(edge.port, "GET", "/"), ask(edge.port, "GET", "/")
    nonce, build = first.body.decode().removeprefix("<p>").removesuffix("</p>").split()
    assert build == "abc"
    assert f"'nonce-{nonce}'" in first.headers["Content-Security-Policy"]
    assert first.body != second.body


@pytest.mark.app
def test_only_files_of_the_current_build_are_cached(edge: EdgeServer) -> None:
    kept = {
        path: "immutable" in ask(edge.port, "GET", f"/static/{path}").headers["Cache-Control"]
        for path in ("app.js?v=abc", "app.js", "app.js?v=old", "config.js?v=abc")
    }
    assert kept == {"app.js?v=abc": True, "app.js": False, "app.js?v=old": False, "config.js?v=abc": False}
