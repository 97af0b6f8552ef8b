"""REST, pages and health over real HTTP: bodies, statuses, headers."""

from __future__ import annotations

import json

import pytest

from tests.web.conftest import EdgeServer
from tests.web.raw_page import ask, cookie_of

pytestmark = pytest.mark.app

STORY = "s" * 32


def test_every_answer_carries_the_headers(edge: EdgeServer) -> None:
    for path in ("/", "/livez", "/api/stories", "/nowhere", "/static/app.js", "/socket.io/"):
        headers = ask(edge.port, "GET", path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


def test_the_page_has_its_nonce_and_build(edge: EdgeServer) -> None:
    first, second = ask(edge.port, "GET", "/"), ask(edge.port, "GET", "/")
    nonce, build = first.body.decode().removeprefix("<p>").removesuffix("</p>").split()
    assert build == "abc"
    assert f"'nonce-{nonce}'" in first.headers["Content-Security-Policy"]
    assert first.body != second.body


def test_only_files_of_this_build_are_kept(edge: EdgeServer) -> None:
    kept = {
        path: "immutable" in ask(edge.port, "GET", f"/static/{path}").headers["Cache-Control"]
        for path in ("app.js?v=abc", "app.js", "app.js?v=old", "config.js?v=abc")
    }
    assert kept == {"app.js?v=abc": True, "app.js": False, "app.js?v=old": False, "config.js?v=abc": False}


def test_the_cookie_is_signed_and_out_of_reach(edge: EdgeServer) -> None:
    cookie = ask(edge.port, "GET", "/livez").headers["Set-Cookie"]
    assert cookie.startswith(f"storygen_{edge.port}=")
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    known = cookie.partition(";")[0]
    first, second = (ask(edge.port, "GET", "/api/stories", Cookie=known) for _ in range(2))
    assert first.json["owner"] == second.json["owner"]
    assert "Set-Cookie" not in first.headers
    assert ask(edge.port, "GET", "/api/stories", Cookie=cookie_of(edge.port)).json["owner"] != first.json["owner"]


def test_a_story_is_created_with_what_was_given(edge: EdgeServer) -> None:
    body = {"mode": "continue", "prompt": "Once 🐢", "models": ["a", "a"], "sampling": {"temperature": 0.5}}
    reply = ask(edge.port, "POST", "/api/stories", json.dumps(body))
    assert (reply.status, reply.json) == (201, body)


@pytest.mark.parametrize(
    "body",
    [
        *("", "{", "[]", "null", "[" * 100_000, '{"mode":"continue"}', '{"mode":"other","prompt":""}'),
        *('{"mode":"continue","prompt":1}', '{"mode":"continue","prompt":"","extra":1}'),
        *(r'{"mode":"continue","prompt":"\ud800"}', r'{"mode":"continue","prompt":"\u0000"}'),
        *('{"mode":"continue","prompt":"","drafts":0}', '{"mode":"continue","prompt":"","drafts":true}'),
        *('{"mode":"continue","prompt":"","models":[]}', '{"mode":"continue","prompt":"","model":"a","models":["a"]}'),
        *('{"mode":"continue","prompt":"","sampling":{"temperature":3}}',),
        *('{"mode":"continue","prompt":"","sampling":{"temperature":NaN}}',),
        *('{"mode":"continue","prompt":"","sampling":{"warmth":1}}', '{"mode":"continue","prompt":"","title":"a\\nb"}'),
    ],
)
def test_a_malformed_body_is_a_sentence(edge: EdgeServer, body: str) -> None:
    reply = ask(edge.port, "POST", "/api/stories", body)
    assert reply.status == 400
    assert reply.json["error"]["code"] == "invalid"
    assert reply.json["error"]["message"].endswith(".")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("PUT", "/api/stories", 405, "method_not_allowed"),
        ("GET", f"/api/stories/{STORY}", 404, "unknown_story"),
        ("GET", "/api/stories/a", 400, "invalid"),
        ("GET", "/api/drafts/../export", 400, "invalid"),
        ("GET", "/api//stories", 404, "not_found"),
        ("GET", f"/api/drafts/{STORY}/export?format=../x", 400, "invalid"),
    ],
)
def test_errors_are_json(edge: EdgeServer, method: str, path: str, status: int, code: str) -> None:
    reply = ask(edge.port, method, path)
    assert (reply.status, reply.json["error"]["code"]) == (status, code)


def test_a_failure_shows_no_details(edge: EdgeServer) -> None:
    reply = ask(edge.port, "POST", "/api/stories", '{"mode":"continue","prompt":"break"}')
    assert (reply.status, reply.json["error"]["code"]) == (500, "internal")
    assert b"secret" not in reply.body


def test_a_body_beyond_the_limit_is_too_large(edge: EdgeServer) -> None:
    reply = ask(edge.port, "POST", "/api/stories", b" " * 9_000_000)
    assert (reply.status, reply.json["error"]["code"]) == (413, "too_large")


def test_an_import_may_be_larger_and_come_as_a_form(edge: EdgeServer) -> None:
    plain = ask(edge.port, "POST", "/api/stories/import?filename=a.txt", b"x" * 9_000_000)
    assert (plain.status, plain.json) == (201, {"size": 9_000_000, "filename": "a.txt"})
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="b.txt"\r\n\r\ntext\r\n--b--\r\n'
    sent = ask(edge.port, "POST", "/api/stories/import", form, Content_Type="multipart/form-data; boundary=b")
    assert sent.json == {"size": 4, "filename": "b.txt"}


def test_an_export_is_a_download_with_its_name(edge: EdgeServer) -> None:
    reply = ask(edge.port, "GET", f"/api/drafts/{STORY}/export?format=txt")
    assert reply.body == b"text"
    assert reply.headers["Content-Disposition"] == "attachment; filename*=UTF-8''n%C3%A9%22w%0A.txt"


def test_health(edge: EdgeServer) -> None:
    assert ask(edge.port, "GET", "/livez").status == 200
    assert ask(edge.port, "GET", "/readyz").json == {"state": "ready"}
    assert b"story_hub_lag_seconds_bucket" in ask(edge.port, "GET", "/metrics").body
    assert ask(edge.port, "GET", "/metrics", X_Forwarded_For="192.0.2.1").status == 404
