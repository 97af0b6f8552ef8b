"""The web application: its layers in order, errors as JSON, the cookie, and changes of the menu."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import Client

from tests.web.conftest import EdgeServer
from tests.web.edge_server import ChangingMenu, EchoLibrary, RecordingDrafts
from tests.web.raw_page import ask
from web.addresses import AddressLimits
from web.app import EdgeSettings, WebApp

STORY = "s" * 32
HERE = "http://127.0.0.1:5000"


def web_app(root: Path, **settings: Any) -> WebApp:
    app = WebApp(EdgeSettings("127.0.0.1", 5000, b"k" * 32, root, "threading", **settings))
    parts: Any = RecordingDrafts(app.publish), EchoLibrary(), ChangingMenu()
    app.connect(*parts)
    return app


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("PUT", "/api/stories", 405, "method_not_allowed"),
        ("GET", f"/api/stories/{STORY}", 404, "unknown_story"),
        ("GET", "/api/stories/a", 400, "invalid"),
        ("GET", "/api//stories", 404, "not_found"),
        ("GET", "/static/../secret.txt", 404, "not_found"),
    ],
)
def test_errors_have_a_code_and_a_sentence(tmp_path: Path, method: str, path: str, status: int, code: str) -> None:
    reply = Client(web_app(tmp_path).wsgi).open(path, method=method, base_url=HERE)
    assert reply.json is not None
    assert (reply.status_code, reply.json["error"]["code"]) == (status, code)
    assert reply.json["error"]["message"].endswith(".")


@pytest.mark.parametrize(
    ("origin", "secure"), [(None, False), ("http://a.example", False), ("HTTPS://a.example", True)]
)
def test_a_new_browser_gets_one_cookie_which_is_secure_behind_https(
    tmp_path: Path, origin: str | None, secure: bool
) -> None:
    client = Client(web_app(tmp_path, public_origin=origin).wsgi, use_cookies=False)
    first = client.get("/api/stories", base_url=HERE)
    (cookie,) = first.headers.getlist("Set-Cookie")
    assert ("; Secure" in cookie) == secure
    second = client.get("/api/stories", base_url=HERE, headers={"Cookie": cookie.partition(";")[0]})
    assert second.headers.getlist("Set-Cookie") == []
    assert (second.json or {})["owner"] == (first.json or {})["owner"]


def test_forwarded_addresses_count_only_behind_a_proxy(tmp_path: Path) -> None:
    limits = AddressLimits(requests=0.001, requests_burst=2)
    for behind_proxy, statuses in ((True, [200, 200, 429]), (False, [200, 200, 200])):
        client = Client(web_app(tmp_path, behind_proxy=behind_proxy, address_limits=limits).wsgi)
        asked = {"base_url": HERE, "environ_base": {"REMOTE_ADDR": "127.0.0.1"}}
        first, other = ({"X-Forwarded-For": f"192.0.2.{number}"} for number in (1, 2))
        assert [client.get("/livez", headers=first, **asked).status_code for _ in range(3)] == statuses
        assert client.get("/livez", headers=other, **asked).status_code == 200


def test_foreign_hosts_are_refused_before_they_count(tmp_path: Path) -> None:
    limits = AddressLimits(requests=0.001, requests_burst=1)
    client = Client(web_app(tmp_path, address_limits=limits).wsgi)
    asked = {"environ_base": {"REMOTE_ADDR": "192.0.2.1"}}
    for _ in range(3):
        assert client.get("/livez", base_url="http://evil.example", **asked).status_code == 403
    assert client.get("/livez", base_url=HERE, **asked).status_code == 200


def test_a_stopping_server_is_not_ready(tmp_path: Path) -> None:
    app = web_app(tmp_path)
    client = Client(app.wsgi)
    assert (client.get("/readyz", base_url=HERE).json or {})["state"] == "ready"
    app.close_connections()
    assert (client.get("/readyz", base_url=HERE).json or {})["state"] == "stopping"


@pytest.mark.app
def test_a_changed_menu_is_sent_to_all_pages(edge: EdgeServer) -> None:
    """The menu changes two seconds after the server's start; a later page sees it by REST."""
    with edge.page() as page:
        if not ask(edge.port, "GET", "/api/models").json["changed"]:
            page.read_until(lambda: page.events != [])
            assert page.events == [("menu", {"continue": [], "prompt": [], "changed": True})]


@pytest.mark.app
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


@pytest.mark.app
def test_an_unexpected_error_shows_no_details(edge: EdgeServer) -> None:
    reply = ask(edge.port, "POST", "/api/stories", '{"mode":"continue","prompt":"break"}')
    assert (reply.status, reply.json["error"]["code"]) == (500, "internal")
    assert b"secret" not in reply.body
