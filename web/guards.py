"""The outermost layer of HTTP: who may ask at all, and the headers every answer carries.

Owns the check of Host, Origin and Sec-Fetch-Site, and the Content-Security-Policy. It stands before Flask and
before Socket.IO, whose handshake Flask never sees. Knows nothing of routes and cookies.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable, Collection, Iterable
from typing import Any
from urllib.parse import urlsplit

from web.errors import error_body

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]

FORWARDED = "storygen.forwarded"  # in the WSGI environment: a proxy's headers were there, and were removed
SOCKET_PATH = "/socket.io"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(:[0-9]{1,5})?")
_SOCKET_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")


def content_security_policy(nonce: str = "") -> str:
    """Own scripts and styles only; `nonce` lets through the style sheet the editor makes at run time."""
    style = f" 'nonce-{nonce}'" if nonce else ""
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'{style}; connect-src 'self'; "
        "img-src 'self' data: blob:; font-src 'self'; manifest-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


HEADERS = {
    "Content-Security-Policy": content_security_policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def own_origins(host: str, port: int, public_origin: str | None) -> frozenset[str]:
    """The origins the page may come from: this computer by its usual names, the bound address, the public one."""
    names = {"127.0.0.1", "localhost", "[::1]"}
    if host not in ("0.0.0.0", "::"):  # these mean every address and are none
        names.add(f"[{host}]" if ":" in host else host.lower())
    own = {f"http://{name}:{port}" if port != 80 else f"http://{name}" for name in names}
    return frozenset(own | ({public_origin.rstrip("/").lower()} if public_origin else set()))


class EdgeGuard:
    """WSGI middleware. Refuses foreign hosts and foreign pages; calls `rejected(reason)` when it does."""

    def __init__(
        self, app: WsgiApp, origins: Collection[str], behind_proxy: bool, rejected: Callable[[str], None]
    ) -> None:
        self._app = app
        self._origins = origins
        self._hosts = {urlsplit(origin).hostname for origin in origins}
        self._behind_proxy = behind_proxy
        self._rejected = rejected

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if not self._behind_proxy:
            claims = [name for name in environ if name.startswith(("HTTP_X_FORWARDED", "HTTP_FORWARDED"))]
            for name in claims:
                del environ[name]
            environ[FORWARDED] = bool(claims)
        respond = _with_headers(start_response)
        reason = self._refusal(environ)
        if reason is not None:
            self._rejected(reason)
            return _refuse(respond, "403 Forbidden", "forbidden", f"This request comes from a foreign {reason}.")
        if environ.get("PATH_INFO", "").startswith(SOCKET_PATH) and not _is_handshake(environ):
            self._rejected("handshake")
            return _refuse(respond, "400 Bad Request", "invalid", "Only WebSocket connections are served here.")
        return self._app(environ, respond)

    def _refusal(self, environ: Environ) -> str | None:
        """`host` or `origin`, whichever is foreign. Reading is open to any page of an allowed host: browsers
        keep the answer from it; what changes something, or opens a socket, is for our own pages only."""
        if not self._knows_host(environ.get("HTTP_HOST", "")):
            return "host"
        if environ["REQUEST_METHOD"] in _SAFE_METHODS and not environ.get("PATH_INFO", "").startswith(SOCKET_PATH):
            return None
        origin = environ.get("HTTP_ORIGIN")
        if origin is not None and origin.lower() not in self._origins:
            return "origin"
        if environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("same-origin", "none"):
            return "origin"
        return None

    def _knows_host(self, header: str) -> bool:
        match = _HOST.fullmatch(header.lower())
        if match is None:
            return False
        name = match[1].strip("[]")
        try:
            return name in self._hosts or ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False


def _is_handshake(environ: Environ) -> bool:
    """Whether all of a WebSocket handshake is there; the servers behind take that for granted."""
    return (
        environ["REQUEST_METHOD"] == "GET"
        and environ.get("HTTP_UPGRADE", "").lower() == "websocket"
        and "upgrade" in environ.get("HTTP_CONNECTION", "").lower()
        and environ.get("HTTP_SEC_WEBSOCKET_VERSION") == "13"
        and _SOCKET_KEY.fullmatch(environ.get("HTTP_SEC_WEBSOCKET_KEY", "")) is not None
    )


def _refuse(respond: StartResponse, status: str, code: str, message: str) -> Iterable[bytes]:
    body = json.dumps(error_body(code, message)).encode()
    respond(status, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _with_headers(start_response: StartResponse) -> StartResponse:
    """`start_response`, adding those of HEADERS the answer does not set itself."""

    def respond(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        present = {name.lower() for name, _ in headers}
        missing = [(name, value) for name, value in HEADERS.items() if name.lower() not in present]
        return start_response(status, headers + missing, *rest)

    return respond
