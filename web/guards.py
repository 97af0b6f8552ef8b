"""Edge guard: the outermost layer of HTTP, which refuses foreign requests and sets the security headers.

Owns the check of Host, Origin and Sec-Fetch-Site, and the Content-Security-Policy. It runs before Flask and before
Socket.IO, because Flask never sees the handshake of a WebSocket. Knows nothing of routes and cookies.
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

FORWARDED = "storygen.forwarded"  # in the WSGI environment: whether a proxy's headers were removed
SOCKET_PATH = "/socket.io"
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_HOST = re.compile(r"(\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})(:[0-9]{1,5})?")
_REFUSALS = {
    "host": "This server does not answer under this host name. Open StoryGen by its own address.",
    "origin": "This request comes from another website. Open StoryGen's own page and try again.",
}
_SOCKET_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")


def content_security_policy(nonce: str = "") -> str:
    """Return the policy that allows the server's own files only.

    `nonce` allows the style sheet that the editor creates at run time.
    """
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
    """Return the allowed origins of the page: this computer's usual names, the bound address and the public origin."""
    names = {"127.0.0.1", "localhost", "[::1]"}
    if host not in ("0.0.0.0", "::"):  # these bind every address and are no address themselves
        names.add(f"[{host}]" if ":" in host else host.lower())
    own = {f"http://{name}:{port}" if port != 80 else f"http://{name}" for name in names}
    return frozenset(own | ({public_origin.rstrip("/").lower()} if public_origin else set()))


class EdgeGuard:
    """WSGI middleware that refuses foreign hosts, foreign origins and incomplete WebSocket handshakes.

    `rejected(reason)` is called for each refusal. Without a proxy in front, forwarded headers are removed.
    """

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
            return _refuse(respond, "403 Forbidden", "forbidden", _REFUSALS[reason])
        if environ.get("PATH_INFO", "").startswith(SOCKET_PATH) and not _is_handshake(environ):
            self._rejected("handshake")
            return _refuse(
                respond, "400 Bad Request", "invalid", "Connect over WebSocket. Other transports are not served."
            )
        return self._app(environ, respond)

    def _refusal(self, environ: Environ) -> str | None:
        """Return `host` or `origin` if that is foreign, else None.

        Any origin may send requests that only read, because browsers hide the response from a foreign page. Requests
        that change something or open a socket must come from an allowed origin.
        """
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
    """Whether the request is a complete WebSocket handshake. The WebSocket servers do not check that themselves."""
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
    """Return a `start_response` that adds each of HEADERS that the response does not set itself."""

    def respond(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        present = {name.lower() for name, _ in headers}
        missing = [(name, value) for name, value in HEADERS.items() if name.lower() not in present]
        return start_response(status, headers + missing, *rest)

    return respond
