"""REST routes over real HTTP: bodies, statuses and downloads."""

from __future__ import annotations

import json

import pytest

from tests.web.conftest import EdgeServer
from tests.web.raw_page import ask

pytestmark = pytest.mark.app

STORY = "s" * 32


def test_a_story_is_created_from_the_request_body(edge: EdgeServer) -> None:
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
def test_a_malformed_body_is_refused_with_a_sentence(edge: EdgeServer, body: str) -> None:
    reply = ask(edge.port, "POST", "/api/stories", body)
    assert reply.status == 400
    assert reply.json["error"]["code"] == "invalid"
    assert reply.json["error"]["message"].endswith(".")


def test_a_body_above_the_limit_is_refused(edge: EdgeServer) -> None:
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
