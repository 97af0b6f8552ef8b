"""The outermost layer: accepted hosts and origins, forwarded headers, handshakes and security headers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.web.conftest import EdgeServer
from tests.web.raw_page import ask
from web.guards import FORWARDED, HEADERS, EdgeGuard, content_security_policy, own_origins

ORIGINS = own_origins("192.0.2.5", 5000, "https://Stories.example.org/")
HANDSHAKE = {
    "PATH_INFO": "/socket.io/",
    "HTTP_UPGRADE": "websocket",
    "HTTP_CONNECTION": "keep-alive, Upgrade",
    "HTTP_SEC_WEBSOCKET_VERSION": "13",
    "HTTP_SEC_WEBSOCKET_KEY": "dGhlIHNhbXBsZSBub25jZQ==",
}
names = st.from_regex(r"[a-z0-9.-]{1,20}", fullmatch=True)


class Site:
    """A guard before an application that records the requests that reach it."""

    def __init__(self, behind_proxy: bool = False, headers: Iterable[tuple[str, str]] = ()) -> None:
        self.reached: list[dict[str, Any]] = []
        self.rejected: list[str] = []
        self._headers = list(headers)
        self._guard = EdgeGuard(self._answer, ORIGINS, behind_proxy, self.rejected.append)

    def _answer(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        self.reached.append(environ)
        start_response("200 OK", self._headers)
        return [b"served"]

    def ask(self, method: str = "GET", **environ: Any) -> tuple[str, dict[str, str], bytes]:
        answer: list[Any] = []
        request = {"REQUEST_METHOD": method, "PATH_INFO": "/", "HTTP_HOST": "localhost:5000", **environ}
        body = b"".join(self._guard(request, lambda status, headers: answer.extend((status, headers))))
        return answer[0], dict(answer[1]), body


@pytest.mark.parametrize(
    ("host", "port", "public", "expected"),
    [
        ("127.0.0.1", 5000, None, {"http://127.0.0.1:5000", "http://localhost:5000", "http://[::1]:5000"}),
        ("::", 80, None, {"http://127.0.0.1", "http://localhost", "http://[::1]"}),
        ("0.0.0.0", 80, "https://A.example/", {"https://a.example", *own_origins("::", 80, None)}),
        ("2001:db8::1", 1, None, {"http://[2001:db8::1]:1", *own_origins("::", 1, None)}),
        ("MyHost", 1, None, {"http://myhost:1", *own_origins("::", 1, None)}),
    ],
)
def test_own_origins_are_loopback_the_bound_address_and_the_public_origin(
    host: str, port: int, public: str | None, expected: set[str]
) -> None:
    assert own_origins(host, port, public) == expected


@given(names, st.sampled_from(["", ":5000", ":1"]))
def test_only_own_names_and_loopback_addresses_are_hosts(name: str, port: str) -> None:
    site = Site()
    own = name in ("localhost", "192.0.2.5", "stories.example.org") or name.startswith("127.")
    status, _, _ = site.ask(HTTP_HOST=name + port)
    if not own:
        assert status == "403 Forbidden"
        assert (site.reached, site.rejected) == ([], ["host"])
    for host in ("localhost", "192.0.2.5", "STORIES.example.org", "127.1.2.3", "[::1]"):
        assert site.ask(HTTP_HOST=host + port)[0] == "200 OK"


@given(
    st.text(max_size=30).filter(lambda origin: origin.lower() not in ORIGINS),
    st.sampled_from(["POST", "DELETE", "PATCH"]),
)
def test_a_change_with_a_foreign_origin_is_refused(origin: str, method: str) -> None:
    site = Site()
    status, _, body = site.ask(method, HTTP_ORIGIN=origin)
    assert (status, site.rejected, site.reached) == ("403 Forbidden", ["origin"], [])
    assert json.loads(body)["error"]["code"] == "forbidden"
    assert site.ask("GET", HTTP_ORIGIN=origin)[0] == "200 OK", "a browser keeps the answer from the foreign page"


@pytest.mark.parametrize("origin", [*sorted(ORIGINS), "HTTP://LOCALHOST:5000", None])
@pytest.mark.parametrize("fetch_site", ["same-origin", "none", None])
def test_a_change_of_an_own_page_is_served(origin: str | None, fetch_site: str | None) -> None:
    sent = {"HTTP_ORIGIN": origin, "HTTP_SEC_FETCH_SITE": fetch_site}
    present = {name: value for name, value in sent.items() if value is not None}
    assert Site().ask("POST", **present)[0] == "200 OK"
    assert Site().ask(**HANDSHAKE, **present)[0] == "200 OK"


@pytest.mark.parametrize("fetch_site", ["cross-site", "same-site", "", "anything"])
def test_a_change_from_another_site_is_refused(fetch_site: str) -> None:
    assert Site().ask("POST", HTTP_SEC_FETCH_SITE=fetch_site)[0] == "403 Forbidden"
    assert Site().ask(**HANDSHAKE, HTTP_SEC_FETCH_SITE=fetch_site)[0] == "403 Forbidden"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REQUEST_METHOD", "POST"),
        ("HTTP_UPGRADE", "h2c"),
        ("HTTP_CONNECTION", "keep-alive"),
        ("HTTP_SEC_WEBSOCKET_VERSION", "8"),
        ("HTTP_SEC_WEBSOCKET_KEY", "short"),
    ],
)
def test_a_socket_needs_every_part_of_the_handshake(name: str, value: str) -> None:
    site = Site()
    assert site.ask(**HANDSHAKE)[0] == "200 OK"
    broken: dict[str, Any] = HANDSHAKE | {name: value}
    status, _, body = site.ask(broken.pop("REQUEST_METHOD", "GET"), **broken)
    assert (status, site.rejected, len(site.reached)) == ("400 Bad Request", ["handshake"], 1)
    assert json.loads(body)["error"]["code"] == "invalid"


def test_forwarded_headers_are_removed_unless_behind_a_proxy() -> None:
    forwarded = {"HTTP_X_FORWARDED_FOR": "192.0.2.9", "HTTP_X_FORWARDED_HOST": "x", "HTTP_FORWARDED": "for=x"}
    site, proxied = Site(), Site(behind_proxy=True)
    site.ask(**forwarded)
    site.ask()
    assert not forwarded.keys() & site.reached[0].keys()
    assert [environ[FORWARDED] for environ in site.reached] == [True, False]
    proxied.ask(**forwarded)
    assert forwarded.items() <= proxied.reached[0].items()


def test_headers_of_the_application_are_kept() -> None:
    own = content_security_policy("abc")
    _, headers, _ = Site(headers=[("content-security-policy", own), ("X-Own", "1")]).ask()
    assert (headers["content-security-policy"], headers["X-Own"]) == (own, "1")
    assert "Content-Security-Policy" not in headers
    assert HEADERS.keys() - headers.keys() == {"Content-Security-Policy"}


def test_a_refusal_has_the_security_headers_too() -> None:
    for request in ({"HTTP_HOST": "evil.example"}, {"PATH_INFO": "/socket.io/"}):
        _, headers, body = Site().ask(**request)
        assert HEADERS.items() <= headers.items()
        assert headers["Content-Length"] == str(len(body))


def test_the_policy_allows_no_inline_script_and_one_inline_style() -> None:
    policy = {part.split()[0]: part.split()[1:] for part in content_security_policy("abc").split("; ")}
    assert policy["default-src"] == ["'none'"]
    assert policy["script-src"] == ["'self'"]
    assert policy["style-src"] == ["'self'", "'nonce-abc'"]
    assert "nonce" not in content_security_policy()


@pytest.mark.app
def test_every_answer_has_the_security_headers(edge: EdgeServer) -> None:
    for path in ("/", "/livez", "/api/stories", "/nowhere", "/static/app.js", "/socket.io/"):
        headers = ask(edge.port, "GET", path).headers
        assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
